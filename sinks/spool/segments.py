"""The files of one spool, oldest first; the newest is the one that is appended to."""

import contextlib
import os
import sqlite3
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from pipeline.core.log import get_logger
from sinks.base import Outgoing
from sinks.spool.segment import (
    EMPTY_BYTES,
    JOURNAL_BYTES,
    SUFFIX,
    Segment,
    SegmentName,
    Synchronous,
    journal_of,
)

log = get_logger(__name__)

DAMAGED_FOLDER: Final = "damaged"
_MOST_SET_ASIDE: Final = 16
_ROW_BYTES: Final = 256
ShortageReason = Literal["spool_full", "disk_full", "disk_error"]


class Shortage(Exception):
    """Messages cannot be stored now: the spool is as large as it may be, the disk is full, or it
    fails. Nothing was stored."""

    def __init__(self, reason: ShortageReason, why: str) -> None:
        super().__init__(why)
        self.reason: ShortageReason = reason


def find_segments(folder: Path, highest: int, older: str = "") -> tuple[list[Segment], list[Path]]:
    """The segments in `folder`, in order, and other files that look like some. Raises `OSError`.

    `highest` is the last number that is known to be taken: a file behind it that holds no record is
    none of them, nor is one that begins where another does and holds less. Files of versions whose
    names told no identity have `older`."""
    found: list[Segment] = []
    foreign: list[Path] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        name = SegmentName.of(path)
        if name is None or not path.is_file():
            foreign.append(path)
            continue
        segment = Segment(path, name._replace(identity=name.identity or older))
        if found and found[-1].first == name.first:
            pair = sorted((found.pop(), segment), key=Segment.count_whole)
            foreign.append(pair[0].path)
            found.append(pair[1])
        elif name.first <= highest + 1 or segment.count_whole():
            found.append(segment)
        else:
            foreign.append(path)
    return found, foreign


class Segments:
    """The segments of `folder`, together with the journal at most `most_bytes` large. A segment is
    sealed when it has reached `segment_bytes`. Not for two threads at once."""

    def __init__(self, folder: Path, most_bytes: int, segment_bytes: int) -> None:
        self._folder = folder
        self._most_bytes, self._segment_bytes = most_bytes, segment_bytes
        self._segments: list[Segment] = []
        self._active: Segment | None = None
        self._sealed_bytes = 0
        self._identity = ""

    def load(self, older: str, identity: str, highest: int) -> None:
        """Find what an earlier run has left, as `find_segments` does. Raises `OSError`. What is
        appended from now on is numbered under `identity`."""
        self._identity = identity
        self._segments, foreign = find_segments(self._folder, highest, older)
        for path in foreign:
            log.error("spool file %r is none of this spool, and left alone", str(path))
        for segment, following in zip(self._segments, self._segments[1:], strict=False):
            segment.last = following.first - 1
        if self._segments:
            self._segments[-1].find_last()
        self._sealed_bytes = sum(segment.bytes for segment in self._segments)

    @property
    def first(self) -> int | None:
        """The lowest number that a file is named for."""
        return self._segments[0].first if self._segments else None

    @property
    def last(self) -> int:
        """The highest number that is stored; 0 where there is none."""
        return self._segments[-1].last if self._segments else 0

    @property
    def bytes(self) -> int:
        """The bytes that the files take on disk."""
        return self._sealed_bytes + (self._active.bytes if self._active else 0)

    def append(self, messages: Sequence[Outgoing], synchronous: Synchronous) -> None:
        """Store them, all or none. Raises `Shortage`."""
        left_bytes = self._most_bytes - JOURNAL_BYTES - self._sealed_bytes
        if left_bytes < EMPTY_BYTES:
            raise Shortage("spool_full", f"it holds {self.bytes} of {self._most_bytes} bytes")
        try:
            active = self._active or self._begin(messages[0].number, synchronous)
            active.synchronise(synchronous)
            active.limit(left_bytes)
            active.append(messages)
        except (sqlite3.Error, OSError) as error:
            raise self._shortage(error, messages) from error
        if active.bytes >= self._segment_bytes:
            self.seal(synced=synchronous == "OFF")

    def _begin(self, first: int, synchronous: Synchronous) -> Segment:
        self._make_way(first)
        segment = Segment.create(self._folder, first, self._identity, synchronous)
        self._active = segment
        self._segments.append(segment)
        return segment

    def _make_way(self, first: int) -> None:
        """A file that begins there can only be one that holds no record that could be read."""
        while self._segments and self._segments[-1].first == first:
            stale = self._segments.pop()
            self._sealed_bytes -= stale.bytes
            stale.damaged = stale.bytes > EMPTY_BYTES
            self._discard(stale)

    def _shortage(self, error: Exception, messages: Sequence[Outgoing]) -> Shortage:
        full = isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF == (
            sqlite3.SQLITE_FULL
        )
        if not full or (self._active is not None and self._active.last < self._active.first):
            self.seal(synced=False)  # a file that failed is not written to again
        needed = sum(len(message.body) + _ROW_BYTES for message in messages) + JOURNAL_BYTES
        if _free_bytes(self._folder) < needed:
            return Shortage("disk_full", "no space left on its disk")
        if full:
            return Shortage("spool_full", f"it holds {self.bytes} of {self._most_bytes} bytes")
        return Shortage("disk_error", str(error))

    def flush(self) -> None:
        """Wait until all that was appended is on the disk itself. Raises `Shortage`."""
        if self._active is None:
            return
        try:
            self._active.synchronise("FULL")
            self._active.append(())
        except sqlite3.Error as error:
            raise self._shortage(error, ()) from error

    def seal(self, synced: bool) -> None:
        """Append no more to the newest file; `synced`: once it is on the disk itself."""
        if synced:
            with contextlib.suppress(Shortage):  # the next append meets it, too, and tells
                self.flush()
        if self._active is None:
            return
        sealed, self._active = self._active, None
        sealed.close()
        if sealed.last < sealed.first:
            self._segments.remove(sealed)
            self._discard(sealed)
        else:
            self._sealed_bytes += sealed.bytes

    def read(self, after: int, limit: int) -> tuple[list[Outgoing], list[int]]:
        """Read up to `limit` numbers behind `after`: the records that are whole, and the numbers of
        those that are damaged or missing. Both are empty only where there is nothing behind."""
        place = bisect_left(self._segments, after + 1, key=lambda segment: segment.last)
        if place == len(self._segments):
            return [], []
        segment = self._segments[place]
        if after + 1 < segment.first:
            return [], list(range(after + 1, min(segment.first, after + 1 + limit)))
        whole, damaged = segment.read(after, limit)
        if damaged and segment is self._active:
            self.seal(synced=False)
        return [replace(message, spool=segment.identity) for message in whole], damaged

    def reclaim(self, floor: int) -> None:
        """Remove files whose records are all settled, but never the newest: it witnesses how far
        the numbers have come."""
        while len(self._segments) > 1 and self._segments[0].last <= floor:
            self.remove_oldest()

    def recycle(self, floor: int) -> bool:
        """Remove the newest file, too, where all is settled: whether that has made room."""
        if not self._segments or self._segments[-1].last > floor:
            return False
        self.seal(synced=False)
        had = bool(self._segments)
        while self._segments:
            self.remove_oldest()
        return had

    def remove_oldest(self) -> int | None:
        """Remove the oldest file, whatever is in it: the highest number that was in there."""
        if self._segments and self._segments[0] is self._active:
            self.seal(synced=False)
        if not self._segments:
            return None
        oldest = self._segments.pop(0)
        self._sealed_bytes -= oldest.bytes
        self._discard(oldest)
        return oldest.last

    def close(self) -> None:
        """Idempotent."""
        for segment in self._segments:
            segment.close()
        self._active = None

    def _discard(self, segment: Segment) -> None:
        """Delete the file, or set it aside where records in it were damaged."""
        try:
            if segment.damaged:
                self._set_aside(segment)
            else:
                segment.remove()
        except OSError as error:
            log.error("spool file %s cannot be removed: %s", segment.path, error.strerror)

    def _set_aside(self, segment: Segment) -> None:
        segment.close()
        folder = self._folder / DAMAGED_FOLDER
        folder.mkdir(exist_ok=True)
        journal_of(segment.path).unlink(missing_ok=True)
        segment.path.replace(folder / segment.path.name)
        kept = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
        for oldest in kept[:-_MOST_SET_ASIDE]:
            oldest.unlink()


def _free_bytes(folder: Path) -> int:
    try:
        told = os.statvfs(folder)
    except OSError:
        return 0
    return told.f_bavail * told.f_frsize
