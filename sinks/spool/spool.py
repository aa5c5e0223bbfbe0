"""The spool of one sink: messages wait on disk until the receiver has confirmed them."""

import threading
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Final
from uuid import uuid4

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import SinkUnavailable
from pipeline.core.log import get_logger
from sinks.base import Outgoing
from sinks.spool.account import Account
from sinks.spool.dead_letters import write_dead_letters
from sinks.spool.folder import SpoolFolder
from sinks.spool.recent import Recent
from sinks.spool.segments import Segments, Shortage, ShortageReason
from sinks.spool.settings import SpoolSettings

log = get_logger(__name__)

_SYNC_EVERY_S: Final = 1.0


class Spool:
    """Messages in order, numbered from 1, each kept until `acknowledge`, `bury` or damage.

    One thread appends, another reads and acknowledges; any thread may ask for the account. Numbers
    have no gap and outlive restarts, so what is lost is always known. After `close` every call but
    `account` raises `SinkUnavailable`.
    """

    def __init__(
        self, folder: Path, settings: SpoolSettings, sink: str, clock: Clock | None = None
    ) -> None:
        self.folder = folder
        self.settings = settings
        self._sink = sink
        self._clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._kept = SpoolFolder(folder)
        self._segments = Segments(folder, settings.max_bytes, settings.segment_bytes)
        self._account = Account()
        self.identity = ""
        """The identity of what is appended until `close`: the same number of another spool, of a
        copy of this one, or of this one after it was put back to an earlier state, is another
        message."""
        self._recent = Recent()
        self._shortage: ShortageReason | None = None
        self._synced_s = 0.0
        self._unsynced = False

    def open(self) -> None:
        """Take the folder, made if it is missing, and find what an earlier run has left there.

        Raises `SinkUnavailable` when another process has it, or the disk refuses.
        """
        try:
            owner = self._kept.take()
            if owner is not None:
                by = f"process {owner}" if owner else "another process"
                why = f"spool {self.folder} is in use by {by}: stop it, or set another spool.folder"
                raise SinkUnavailable(self._sink, f"{why} here")
            self._find()
        except OSError as error:
            self._release()
            why = f"spool {self.folder}: {error.strerror or error}: free or repair the disk, or"
            raise SinkUnavailable(self._sink, f"{why} set spool.folder to another place") from error

    def _find(self) -> None:
        older = self._kept.identity()
        self.identity = uuid4().hex
        position = self._kept.position()
        self._segments.load(older, self.identity, 0 if position is None else position[1])
        first = self._segments.first
        floor, highest = position or (0 if first is None else first - 1, 0)
        self._account = Account.at_start(floor, max(floor, highest, self._segments.last))
        self._segments.reclaim(floor)
        self._synced_s = self._clock.monotonic_s()

    def append(self, messages: Sequence[Outgoing]) -> int:
        """Number and store messages: how many, from the first on, are settled, which is stored or,
        where `when_full` says so, dropped and counted. Fewer than given under `block` only: wait
        for room and offer the others again. Blocks for the disk, never for room."""
        done, size = 0, len(messages)
        with self._changed:
            self._check_open()
            while done < len(messages):
                chunk = self._portion(messages, done, size)
                try:
                    self._store(chunk)
                except Shortage as shortage:
                    if len(chunk) > 1:
                        size = len(chunk) // 2
                        continue
                    settled = self._give_way(shortage, len(messages) - done)
                    if settled is None:
                        break
                    done += settled
                else:
                    self._shortage = None
                    done += len(chunk)
            self._changed.notify_all()
        return done

    def _portion(self, messages: Sequence[Outgoing], start: int, most: int) -> Sequence[Outgoing]:
        """From `start` on at least one message, at most `most`, and no more than fits well into a
        segment: one transaction."""
        portion = messages[start : start + most]
        most_bytes = self.settings.segment_bytes // 4
        while len(portion) > 1 and sum(len(message.body) for message in portion) > most_bytes:
            portion = portion[: len(portion) // 2]
        return portion

    def _store(self, messages: Sequence[Outgoing]) -> None:
        account, identity = self._account, self.identity
        numbered = [
            Outgoing(message.kind, message.key, message.message_id, message.body, number, identity)
            for number, message in enumerate(messages, account.last + 1)
        ]
        fsync, now_s = self.settings.fsync, self._clock.monotonic_s()
        due = fsync == "always" or (fsync == "interval" and now_s - self._synced_s > _SYNC_EVERY_S)
        self._segments.append(numbered, "FULL" if due else "OFF")
        self._unsynced = fsync == "interval" and not due
        if due:
            self._synced_s = now_s
        account.append(len(numbered))
        self._recent.add(numbered)
        self._note_position()

    def _give_way(self, shortage: Shortage, waiting: int) -> int | None:
        """What `when_full` says: how many of the `waiting` messages are dropped for it, which may
        be none; None: wait for room."""
        if self._shortage != shortage.reason:
            log.error("sink %r: spool %s: %s", self._sink, self.folder, shortage)
        self._shortage = shortage.reason
        account = self._account
        if self._segments.recycle(account.floor):
            return 0
        nothing_to_wait_for = not account.spooled and shortage.reason == "spool_full"
        match self.settings.when_full:
            case "block" if not nothing_to_wait_for:
                return None
            case "drop_oldest" if account.spooled:
                last = self._segments.remove_oldest()
                account.give_up(account.last if last is None else last, shortage.reason)
                self._moved()
                return 0
            case "drop_newest" if account.spooled:
                account.turn_away(waiting, shortage.reason)
                return waiting
        account.turn_away(1, shortage.reason)
        return 1

    def read(self, after: int, limit: int) -> list[Outgoing]:
        """Read up to `limit` messages whose number is above `after`, in order. Empty: there is
        none. Damaged ones are passed over, counted, and set aside with their file once that is
        settled. Blocks for the disk, except for messages that were appended a moment ago."""
        with self._changed:
            self._check_open()
            account = self._account
            after = max(after, account.floor)
            while after < account.last:
                messages, damaged = self._recent.read(after, limit), list[int]()
                if not messages:
                    messages, damaged = self._segments.read(after, limit)
                if damaged:
                    self._note_damage(damaged)
                if not messages and not damaged:
                    self._note_damage(list(range(after + 1, account.last + 1)))
                    break
                wanted = messages
                if account.ahead:
                    wanted = [
                        message for message in messages if message.number not in account.ahead
                    ]
                if wanted:
                    return wanted
                after = max([message.number for message in messages] + damaged)
            return []

    def acknowledge(self, number: int) -> None:
        """The receiver has confirmed all up to `number`: they are let go."""
        with self._changed:
            self._check_open()
            self._account.acknowledge(number)
            self._moved()

    def dead_letter(self, messages: Sequence[Outgoing], reason: str) -> None:
        """The receiver refuses these for ever: into the file of dead letters. Where that cannot be
        written they are dropped, counted as `dead_letters_unwritable`, and logged as errors."""
        with self._changed:
            self._check_open()
            sync = self.settings.fsync != "never"
            try:
                write_dead_letters(self.folder, messages, reason, self._clock.utc_ns(), sync)
            except OSError as error:
                why = error.strerror or error
                log.error("sink %r: dead letters cannot be written: %s", self._sink, why)
                numbers = [message.number for message in messages]
                self._account.lose(numbers, "dead_letters_unwritable")
            else:
                for message in messages:
                    self._account.dead_letter(message.number)
            self._moved()

    def account(self) -> tuple[Account, ShortageReason | None]:
        """A copy of the account as of now, and what keeps messages from being stored, if anything
        does. Any thread, also after `close`."""
        with self._changed:
            told = copy(self._account)
            told.ahead, told.dropped = set(told.ahead), told.dropped.copy()
            return told, self._shortage

    @property
    def bytes(self) -> int:
        """The bytes that the segments take on disk."""
        with self._changed:
            return self._segments.bytes

    def wait_for_records(self, after: int, within_s: float) -> bool:
        """Block until something above `after` waits: False when that took too long."""

        def come() -> bool:
            return self._account.last > max(after, self._account.floor)

        with self._changed:
            return self._changed.wait_for(come, within_s)

    def wait_for_room(self, within_s: float) -> None:
        """Block until something was let go, or `within_s` is over."""
        with self._changed:
            self._changed.wait(within_s)

    def sync(self) -> None:
        """Under `interval`, when nothing was appended for a while: what is not on the disk itself
        goes there."""
        with self._changed:
            self._check_open()
            now_s = self._clock.monotonic_s()
            if self._unsynced and now_s - self._synced_s > _SYNC_EVERY_S:
                self._synced_s = now_s
                self._flush()

    def close(self) -> None:
        """Let go of the folder. Idempotent."""
        with self._changed:
            if self._kept.is_open and self._unsynced:
                self._flush()
            self._release()
            self._changed.notify_all()

    def _flush(self) -> None:
        try:
            self._segments.flush()
        except Shortage as shortage:
            log.error("sink %r: spool %s: %s", self._sink, self.folder, shortage)
        else:
            self._unsynced = False

    def _release(self) -> None:
        self._segments.close()
        self._kept.release()

    def _check_open(self) -> None:
        if not self._kept.is_open:
            raise SinkUnavailable(self._sink, f"spool {self.folder} is not open")

    def _note_damage(self, numbers: Sequence[int]) -> None:
        lost = self._account.lose(numbers)
        if lost:
            log.error("sink %r: spool %s: %d damaged messages", self._sink, self.folder, lost)
            self._moved()

    def _moved(self) -> None:
        """The floor may have risen: say so on disk, and let go of what is below it."""
        self._note_position()
        self._segments.reclaim(self._account.floor)
        self._recent.forget(self._account.floor)
        self._changed.notify_all()

    def _note_position(self) -> None:
        try:
            self._kept.note(self._account.floor, self._account.last)
        except OSError as error:
            log.warning("sink %r: spool %s: %s", self._sink, self.folder, error.strerror)
