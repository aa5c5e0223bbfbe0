"""One stream: its decoding thread, its epochs and its reconnects."""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.account import StreamAccount
from pipeline.config import StdinSourceConfig, StreamConfig
from pipeline.core.backoff import Backoff
from pipeline.core.clock import Clock
from pipeline.core.errors import SourceDenied, SourceError, SourceHung
from pipeline.core.frame import Frame
from pipeline.core.log import counted, get_logger
from pipeline.load.gate import Gate
from pipeline.stream.changes import (
    StreamChange,
    StreamDown,
    StreamEnded,
    StreamHealth,
    StreamUp,
)
from pipeline.stream.connection import Connection, Patience
from pipeline.stream.intake import Intake
from pipeline.stream.lane import Lane
from pipeline.stream.tries import Tries
from pipeline.supervise import SAY_AGAIN_S, Repeats
from stages.base import MakeSource, Source
from stages.health.finding import Change
from stages.health.watch import HealthWatch, Settings

if TYPE_CHECKING:
    from stages.evidence.ring import PacketRing

log = get_logger(__name__)

MOST_HUNG: Final = 3
"""The number of abandoned decoders with which a stream waits instead of starting another one."""


@dataclass(frozen=True, slots=True)
class Past:
    """The past of a stream, which it leaves to the one of its id that follows it. All its frames
    are settled."""

    account: StreamAccount
    epoch: int
    hung: list[Connection]


class Stream:
    """One stream, decoded into `lane` until its end, `stop`, or an error that no retry helps.

    `run` is the whole life of the stream, in a thread of its own. It tells `tell` when the stream
    comes up, goes down and ends, and closes the lane last.

    Failures are followed by the pauses of `Tries`. A new `Stream`, as for a changed configuration,
    knows nothing of the failures of an older one. What it `follows`, the past of a stream that was
    retired or has ended, hands on its account and its hung decoders; the next epoch begins. `ring`
    keeps its packets: it is told which epoch they are of.
    """

    def __init__(
        self,
        config: StreamConfig,
        make_source: MakeSource,
        condition: threading.Condition,
        tell: Callable[[StreamChange], object],
        clock: Clock,
        backoff: Backoff | None = None,
        denied: Backoff | None = None,
        follows: Past | None = None,
        ring: "PacketRing | None" = None,
    ) -> None:
        self.id = config.id
        self._stopping = threading.Event()
        account = follows.account if follows else StreamAccount(config.id)
        self.intake = Intake(config, account, condition, self._stopping, self._say, clock, ring)
        self._config = config
        self._make_source = make_source
        self._tell = tell
        self._tries = Tries(config.reconnects, clock, backoff, denied)
        self._patience = patience_with(config)
        self._clock = clock
        self._repeats = Repeats(SAY_AGAIN_S, clock.monotonic_s)
        self._guard = threading.Lock()
        self._connection: Connection | None = None
        self._hung: list[Connection] = follows.hung if follows else []
        self._ended = self._retired = self._end_told = False
        self._epoch = follows.epoch + 1 if follows else 0
        self._health = HealthWatch(_settings(config)) if config.watched else None

    def run(self) -> None:
        """Connect, decode and reconnect until the stream is over. Blocks; the stream's own
        thread."""
        error: str | None = None
        try:
            while not self._stopping.is_set():
                epoch_frames = self.account.next_seq
                failure = self._connect_once()
                error = str(failure) if failure else None
                if failure is None or not self._tries.goes_on:
                    break
                self._go_down(failure)
                if self.account.next_seq > epoch_frames:
                    self._epoch += 1
        finally:
            self._end(None if self._stopping.is_set() else error)

    def stop(self) -> None:
        """End within two seconds, keeping what is decoded, whatever the decoder does. Never blocks;
        any thread, any number of times."""
        self._stopping.set()
        self.lane.refill_at_once()
        with self._guard:
            connection = self._connection
        if connection is not None:
            connection.stop()

    def retire(self) -> None:
        """Stop, as `stop`, but without telling the end, unless it was told before: whoever runs the
        stream tells what becomes of it."""
        with self._guard:
            self._retired = True
        self.stop()

    @property
    def account(self) -> StreamAccount:
        """The account of the stream's frames."""
        return self.intake.account

    @property
    def gate(self) -> Gate | None:
        """The gate by which the stream gives way under load; None: it does not."""
        return self.intake.gate

    @property
    def lane(self) -> Lane:
        """The stream's frames that wait for the engine."""
        return self.intake.lane

    @property
    def epoch(self) -> int:
        """The epoch of the newest frame, or of the next one."""
        return self._epoch

    @property
    def past(self) -> Past:
        """The past that a stream which follows this one takes over."""
        return Past(self.account, self._epoch, [one for one in self._hung if one.alive])

    @property
    def end_told(self) -> bool:
        """True once the end was told, or is about to be."""
        with self._guard:
            return self._end_told

    def abandon(self) -> None:
        """End a stream that does not heed `stop`. Blocks while the inbox is full; any thread."""
        self._end(None)

    def _end(self, error: str | None) -> None:
        with self._guard:
            if self._ended:
                return
            self._ended = True
            self._end_told = not self._retired
        if self._end_told:
            self._tell(StreamEnded(self.id, self._epoch, error))
        self.lane.close()

    def _connect_once(self) -> SourceError | None:
        """Run one connection until it ends -> why it failed; None: there is nothing more to
        come."""
        if self._count_hung() >= MOST_HUNG:
            return SourceHung(self.id, f"{MOST_HUNG} decoders hang: waiting for one to return")
        epoch, first_seq = self._epoch, self.intake.begin()
        self._tries.begin()
        connection = Connection(
            self.id, lambda: self._make_source(epoch, first_seq), self._take, self._patience,
            self._clock, self._idle,
        )  # fmt: skip
        with self._guard:
            self._connection = connection
        if self._stopping.is_set():
            return None
        connection.run()
        if connection.abandoned:
            self.account.connections.abandoned += 1
            self._hung.append(connection)
            self._count_hung()
        if connection.source is not None:
            self.intake.end(connection.source.counts)
        if self._health is not None:
            self._tell_health(self._health.interrupt("the connection is over"))
        return connection.failure

    def _count_hung(self) -> int:
        """Count the abandoned decoders that are still there."""
        self._hung = [connection for connection in self._hung if connection.alive]
        self.account.connections.hung = len(self._hung)
        return len(self._hung)

    def _take(self, source: Source, frame: Frame) -> bool:
        """Take a frame from the source into the lane. False: no more, please. The decoder's
        thread."""
        if self._ended:
            return False
        self.intake.count(source, frame.info)
        self._epoch = frame.info.epoch
        if not self._tries.is_up:
            self._come_up(source, frame.info.seq)
        if self._health is not None:
            health = self._health.observe(frame.picture, frame.info.pts_ns, source.counts)
            self._tell_health(health)
        self.intake.take(frame)
        return not self._stopping.is_set()

    def _idle(self, source: Source) -> None:
        """Look at the counts while the decoder is watched: damage shows even where no whole picture
        comes."""
        if self._health is not None:
            self._tell_health(self._health.idle(source.counts, self._clock.monotonic_s()))

    def _tell_health(self, changes: list[Change]) -> None:
        for change in () if self._ended else changes:
            kind = f"{change.condition} {change.active}"
            self._say(logging.WARNING, kind, f"stream {self.id!r}: {change.reason}")
            self._tell(StreamHealth(self.id, self._epoch, self.account.next_seq - 1, change))

    def _come_up(self, source: Source, seq: int) -> None:
        failures = self._tries.failures
        # Who was warned of the failure hears of its end, too.
        level = logging.WARNING if failures else logging.INFO
        again = f" again after {counted(failures, 'failure')}" if failures else ""
        self._say(level, f"up {level}", f"stream {self.id!r} is up{again}")
        limits = (source.frame_count, self._config.max_frames)
        expected = min((limit for limit in limits if limit is not None), default=None)
        chaos, decoder = self._config.chaos is not None, source.counts.decoder
        self._tell(StreamUp(self.id, self._epoch, seq, failures, expected, chaos, decoder))
        self.account.connections.up += 1
        self._tries.come_up()

    def _go_down(self, failure: SourceError) -> None:
        pause_s = self._tries.fail(failure)
        self.account.connections.failed += 1
        self.account.connections.denied += isinstance(failure, SourceDenied)
        self._say(logging.WARNING, failure.cause, f"{failure}; trying again in {pause_s:.1f} s")
        seq, why = self.account.next_seq - 1, failure.why
        self._tell(StreamDown(self.id, self._epoch, seq, self._tries.failures, why, failure.cause))
        self._stopping.wait(pause_s)

    def _say(self, level: int, kind: str, text: str) -> None:
        """Log, but not every time: a camera that comes and goes every second must not fill the
        log."""
        more = self._repeats.note(kind)
        if more is not None:
            log.log(level, "%s%s", text, more)


def patience_with(config: StreamConfig) -> Patience | None:
    """The patience with this stream's decoder. None: it cannot hang, and nobody watches it."""
    source = config.reconnects
    if isinstance(config.source, StdinSourceConfig):  # its silence is waited for, but not a stop
        return Patience(math.inf, math.inf)
    if source is None:
        return None
    return Patience(source.open_timeout_s + source.read_timeout_s, source.read_timeout_s)


def _settings(config: StreamConfig) -> Settings:
    return Settings(**config.health.model_dump(exclude={"enabled"}, exclude_none=True))
