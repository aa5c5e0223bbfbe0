"""Parquet files for analysts: a table for each kind of message, partitioned by stream and hour."""

import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast, get_args

from pipeline.core.clock import Clock, SystemClock, utc_datetime
from pipeline.core.errors import SinkError, SinkUnavailable
from pipeline.core.log import get_logger
from pipeline.core.messages import Kind
from sinks.base import Outgoing
from sinks.line_file import LineFile

if TYPE_CHECKING:
    from sinks.parquet.part import Codec

log = get_logger(__name__)

UNFINISHED: Final = ".unfinished"
_KINDS: Final = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True)
class PartLimits:
    """The limits at which a part is finished: it has so many messages, or so many bytes of JSON, or
    its first message is so old; looked at before each write. Also at the end of its stream."""

    rows: int = 100_000
    journal_bytes: int = 64_000_000
    age_s: float = 900.0


@dataclass(slots=True)
class _Part:
    """Messages of one kind of one stream that are in no Parquet file yet."""

    journal: LineFile
    path: Path
    began_s: float
    rows: int = 0
    ended: bool = False


class ParquetSink:
    """A `Sink` that keeps messages in journals, JSON lines in `folder/.unfinished`, and turns each
    into finished Parquet files once it is large or old enough: see `part.finish`.

    `flush` waits until the journals are on the disk: what it has confirmed survives a crash of the
    process and of the machine, for `open` finishes the journals that it finds. A file under its
    final name is whole at any time. `close` finishes all parts.

    One process at a time writes below a folder.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "parquet",
        *,
        limits: PartLimits = PartLimits(),
        compression: "Codec" = "zstd",
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.delivered_total = 0
        self._folder, self._limits, self._codec = folder, limits, compression
        self._clock = clock or SystemClock()
        self._lock: LineFile | None = None
        self._parts: dict[tuple[Kind, str], _Part] = {}
        self._unsynced: set[tuple[Kind, str]] = set()

    def open(self) -> None:
        """See `Sink.open`. Takes as long as it takes to finish what a crash has left."""
        if self._lock is not None:
            return
        if find_spec("pyarrow") is None:
            why = "Parquet needs pyarrow, which takes 170 MB: pip install 'eyrie[parquet]'"
            raise SinkError(self.name, why)
        try:
            lock = LineFile(self._folder / UNFINISHED / "lock", None, self._clock, append=True)
            try:
                self._recover()
            except BaseException:
                lock.close()
                raise
        except OSError as error:
            raise self._unavailable(error) from error
        self._lock = lock

    def write(self, messages: Sequence[Outgoing]) -> None:
        if self._lock is None:
            raise SinkUnavailable(self.name, f"{self._folder} is not open")
        sizes: dict[LineFile, int] = {}
        try:
            for key in [key for key, part in self._parts.items() if self._is_due(part)]:
                self._finish(key)
            for key, group in _by_part(messages).items():
                part = self._part(key)
                sizes[part.journal] = part.journal.size()
                part.journal.write(b"".join(message.body + b"\n" for message in group))
        except OSError as error:
            for journal, size in sizes.items():
                with suppress(OSError):  # what failed before is the error worth telling
                    journal.cut_back(size)
            raise self._unavailable(error) from error
        self._count(messages)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`. A disk cannot be hurried: may take longer than `timeout_s`."""
        try:
            for key in tuple(self._unsynced):
                self._parts[key].journal.sync()
                self._unsynced.discard(key)
        except OSError as error:
            raise self._unavailable(error) from error

    def close(self) -> None:
        """See `Sink.close`. Parts that cannot be finished now are left for the next `open`."""
        for key in list(self._parts):
            try:
                self._finish(key)
            except OSError as error:
                self._parts.pop(key).journal.close()
                log.warning("%s; the next start goes on with it", self._unavailable(error))
        self._parts.clear()
        self._unsynced.clear()
        if self._lock is not None:
            self._lock.close()
        self._lock = None

    def _count(self, messages: Sequence[Outgoing]) -> None:
        self.delivered_total += len(messages)
        for message in messages:
            key = message.kind, message.key
            self._parts[key].rows += 1
            self._unsynced.add(key)
            if message.kind == "end_of_stream":
                for (_, stream_id), part in self._parts.items():
                    part.ended |= stream_id == message.key

    def _is_due(self, part: _Part) -> bool:
        limits = self._limits
        full = part.rows >= limits.rows or part.journal.size() >= limits.journal_bytes
        return part.ended or full or self._clock.monotonic_s() - part.began_s >= limits.age_s

    def _part(self, key: tuple[Kind, str]) -> _Part:
        part = self._parts.get(key)
        if part is None:
            stamp = f"{utc_datetime(self._clock.utc_ns()):%Y%m%dT%H%M%SZ}"
            name = f"{key[0]}-{stamp}-{secrets.token_hex(6)}.jsonl"
            path = self._folder / UNFINISHED / name
            journal = LineFile(path, None, self._clock, append=True)
            part = self._parts[key] = _Part(journal, path, self._clock.monotonic_s())
        return part

    def _finish(self, key: tuple[Kind, str]) -> None:
        part = self._parts[key]
        self._turn(part.path, *key)
        part.journal.close()
        del self._parts[key]
        self._unsynced.discard(key)

    def _recover(self) -> None:
        unfinished = self._folder / UNFINISHED
        for path in unfinished.glob("*.part"):
            path.unlink()
        for path in sorted(unfinished.glob("*.jsonl")):
            LineFile(path, None, self._clock, append=True).close()  # cuts a torn line
            kind = path.name.partition("-")[0]
            if kind in _KINDS:
                with path.open("rb") as lines:
                    stream_id = next(filter(None, map(_stream_id, lines)), "")
                self._turn(path, cast("Kind", kind), stream_id)

    def _turn(self, journal: Path, kind: Kind, stream_id: str) -> None:
        """Into Parquet. What is no message, for the disk has damaged it, is kept aside."""
        from sinks.parquet.part import finish, set_aside

        try:
            finish(journal, kind, stream_id, self._folder, self._codec)
        except ValueError as error:
            log.debug("sink %r", self.name, exc_info=True)
            aside, count = set_aside(journal)
            said = f"{aside} keeps {count} lines that are no messages ({error})"
            log.error("%s", SinkError(self.name, said))
            finish(journal, kind, stream_id, self._folder, self._codec)

    def _unavailable(self, error: OSError) -> SinkUnavailable:
        return SinkUnavailable(self.name, f"{self._folder}: {error.strerror or error}")


def _by_part(messages: Sequence[Outgoing]) -> dict[tuple[Kind, str], list[Outgoing]]:
    groups: dict[tuple[Kind, str], list[Outgoing]] = {}
    for message in messages:
        groups.setdefault((message.kind, message.key), []).append(message)
    return groups


def _stream_id(line: bytes) -> str:
    try:
        return str(json.loads(line)["stream_id"])
    except (ValueError, KeyError, TypeError):
        return ""  # all lines are read next, and what is damaged is found then
