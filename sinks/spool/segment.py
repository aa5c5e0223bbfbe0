"""One SQLite file of a spool: records by number, written once and then only read.

The journal is a rollback journal: in a write-ahead log, one wrong byte would cost every transaction
behind it. The number of records stands in the file's header, which every transaction writes anyway,
as `user_version`, and again, inverted, as `application_id`: so a file whose last page is unreadable
still says how much it held.

The name of a file has its first number and the identity under which its records were numbered. So
both outlive whatever happens to the content, and go along when the file is copied.
"""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pipeline.core.log import get_logger
from sinks.base import Outgoing
from sinks.spool.record import INSERT, SELECT, TABLE, message_of, row_of
from sinks.spool.salvage import PAGE_BYTES, salvage

log = get_logger(__name__)

Synchronous = Literal["OFF", "FULL"]

SUFFIX: Final = ".sqlite"
EMPTY_BYTES: Final = 2 * PAGE_BYTES
JOURNAL_BYTES: Final = 12 * PAGE_BYTES
"""Room for the rollback journal, which holds the few old pages that an append changes."""
_ALL_BITS: Final = 0xFFFFFFFF
_HEADER_BYTES: Final = 100
_NAME: Final = re.compile(rf"([0-9]{{20}})(?:-([0-9a-f]{{32}}))?{re.escape(SUFFIX)}")
_HIGHEST: Final = 1 << 62


class Segment:
    """Records `first` to `last`, without a gap. Not for two threads at once.

    `create` makes one to append to; `Segment` reads one that is there. Whatever SQLite cannot
    do raises `sqlite3.Error`, and an append has then changed nothing.
    """

    def __init__(self, path: Path, name: "SegmentName") -> None:
        self.path = path
        self.first, self.identity = name
        self.last = self.first - 1
        self.damaged = False
        self._connection: sqlite3.Connection | None = None
        self._synchronous: Synchronous | None = None
        self._salvaged: dict[int, Outgoing] | None = None

    @classmethod
    def create(cls, folder: Path, first: int, identity: str, synchronous: Synchronous) -> "Segment":
        """An empty segment in `folder`."""
        path = folder / f"{first:020d}-{identity}{SUFFIX}"
        segment = cls(path, SegmentName(first, identity))
        connection = segment._connection = _connect(segment.path, "rwc")
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = TRUNCATE")
            segment.synchronise(synchronous)
            connection.execute(TABLE)
        except BaseException:
            segment.remove()
            raise
        return segment

    @property
    def bytes(self) -> int:
        """The bytes that the file takes on disk now."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def synchronise(self, synchronous: Synchronous) -> None:
        """Set whether a transaction waits for the disk, from the next one on."""
        if synchronous != self._synchronous and self._connection is not None:
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous

    def limit(self, most_bytes: int) -> None:
        """The file grows no further than this: an append that would raises `SQLITE_FULL`."""
        assert self._connection is not None
        self._connection.execute(f"PRAGMA max_page_count = {max(2, most_bytes // PAGE_BYTES)}")

    def append(self, messages: Sequence[Outgoing]) -> None:
        """Append all of them in one transaction; their numbers follow `last`."""
        last = messages[-1].number if messages else self.last
        count = last - self.first + 1
        connection = self._connection
        assert connection is not None
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, map(row_of, messages))
            connection.execute(f"PRAGMA user_version = {count}")
            connection.execute(f"PRAGMA application_id = {_signed(count ^ _ALL_BITS)}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self.last = last

    def find_last(self) -> None:
        """Set `last` to what the file says, after rolling back a transaction that was cut off."""
        highest = self.first - 1
        try:
            with closing(_connect(self.path, "rw")) as connection:
                found = connection.execute("SELECT max(number) FROM record").fetchone()[0]
            if isinstance(found, int) and self.first <= found < self.first + self.bytes:
                highest = found
        except sqlite3.Error as error:
            log.debug("%s: %s", self.path, error)
        counted = count_in_header(self.path)
        if counted is None or counted != highest - self.first + 1:
            whole = [number for number in self._all_whole() if number >= self.first]
            highest = max([highest, self.first - 1 + (counted or 0), *whole])
        self.last = highest

    def read(self, after: int, limit: int) -> tuple[list[Outgoing], list[int]]:
        """Read the first `limit` records behind `after`: those that are whole, and the numbers of
        those that are damaged."""
        wanted = range(max(after + 1, self.first), min(after + limit, self.last) + 1)
        found = {message.number: message for message in self._select(after, limit)}
        absent = [number for number in wanted if number not in found]
        if absent:
            whole = self._all_whole()
            found |= {number: whole[number] for number in absent if number in whole}
        damaged = [number for number in absent if number not in found]
        self.damaged = self.damaged or bool(damaged)
        return [found[number] for number in wanted if number in found], damaged

    def _select(self, after: int, limit: int) -> list[Outgoing]:
        """By SQLite, where it still can; only what is whole."""
        if self._salvaged is not None:
            return []
        try:
            if self._connection is None:
                self._connection = _connect(self.path, "rw")
            rows = self._connection.execute(SELECT, (after, limit)).fetchall()
        except sqlite3.Error as error:
            log.warning("spool file %s: %s: reading what is left of it", self.path, error)
            return []
        return [message for message in map(message_of, rows) if message is not None]

    def count_whole(self) -> int:
        """Count the whole records, page by page; reads the file."""
        whole = sum(number >= self.first for number in self._all_whole())
        self._salvaged = None
        return whole

    def _all_whole(self) -> dict[int, Outgoing]:
        if self._salvaged is None:
            try:
                self._salvaged = salvage(self.path.read_bytes())
            except OSError as error:
                log.error("spool file %s cannot be read: %s", self.path, error.strerror)
                self._salvaged = {}
        return self._salvaged

    def close(self) -> None:
        """Let go of the file. It can be read again, but not appended to."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._synchronous, self._salvaged = None, None, None

    def remove(self) -> None:
        """Close and delete it. Raises `OSError`."""
        self.close()
        self.path.unlink(missing_ok=True)
        journal_of(self.path).unlink(missing_ok=True)


class SegmentName(NamedTuple):
    """The name of a segment's file: its first number, from 1, and the identity of those who
    numbered it, which files of earlier versions do not tell."""

    first: int
    identity: str

    @classmethod
    def of(cls, path: Path) -> "SegmentName | None":
        """Parse a file's name; None for one that no segment has."""
        found = _NAME.fullmatch(path.name)
        if found is None or not 1 <= int(found[1]) < _HIGHEST:
            return None
        return cls(int(found[1]), found[2] or "")


def journal_of(path: Path) -> Path:
    """The file in which SQLite keeps what a transaction that was cut off has to restore."""
    return path.with_name(path.name + "-journal")


def count_in_header(path: Path) -> int | None:
    """The count of records that the header has; None where it is unreadable or contradicts
    itself."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return None
    count = int.from_bytes(header[60:64], "big")
    inverted = int.from_bytes(header[68:72], "big")
    return count if len(header) == _HEADER_BYTES and count ^ inverted == _ALL_BITS else None


def _connect(path: Path, mode: Literal["rw", "rwc"]) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=0,
    )
    connection.text_factory = bytes
    return connection


def _signed(word: int) -> int:
    return word - (1 << 32) if word >= 1 << 31 else word
