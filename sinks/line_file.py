"""A file of lines that grows, is rotated, and is whole again after a crash."""

import fcntl
import gzip
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from io import FileIO
from pathlib import Path
from typing import Final, Literal

from pipeline.core.clock import Clock, utc_datetime
from pipeline.core.log import get_logger

log = get_logger(__name__)

Compression = Literal["none", "gzip", "zstd"]
_SUFFIX: Final[dict[Compression, str]] = {"none": "", "gzip": ".gz", "zstd": ".zst"}
_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
_BLOCK_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Rotation:
    """The rule of when a file is put aside under a name with the time,
    `gate.20261124T093000.000000Z.jsonl`, and another is begun: before it would be larger than
    `max_bytes`, and at the first write in another period. Periods of `period_s` begin at multiples
    of it since 1970 in UTC, so a restart does not move them. Of those put aside the newest `keep`
    stay; None: all."""

    max_bytes: int | None = None
    period_s: float | None = None
    keep: int | None = None
    compression: Compression = "none"


class LineFile:
    """One file, open for writing. Every method raises `OSError`; nothing here is retried.

    `append` goes on at the end of what is there: a last line without its line break, torn by a
    crash, is cut off, and the file is locked against a second process. Else the file is replaced.
    """

    def __init__(self, path: Path, rotation: Rotation | None, clock: Clock, append: bool) -> None:
        self._path, self._rotation, self._clock, self._append = path, rotation, clock, append
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()
        if rotation is not None:
            self._tidy(rotation)

    def size(self) -> int:
        """Bytes so far; 0 for what is no regular file."""
        return self._file.tell() if self._file.seekable() else 0

    def make_room(self, more_bytes: int) -> None:
        """Rotate if the file is not to take `more_bytes` more. Takes as long as the compression of
        the file that is put aside."""
        if self._file.closed:  # its last rotation failed behind the renaming
            self._file = self._open()
        rotation = self._rotation
        if rotation is None or not self.size():
            return
        limit = rotation.max_bytes
        full = limit is not None and self.size() + more_bytes > limit
        if full or self._began_in != self._period(self._clock.utc_ns() / 1e9):
            self._rotate(rotation)

    def write(self, lines: bytes) -> None:
        """Hand whole lines to the operating system."""
        rest = memoryview(lines)
        while rest:
            rest = rest[self._file.write(rest) :]

    def cut_back(self, size: int) -> None:
        """Take back what was written after the file had `size` bytes."""
        self._file.truncate(size)
        self._file.seek(size)

    def sync(self) -> None:
        """Wait for the disk."""
        if not self._file.closed:  # what was put aside is synced
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Idempotent."""
        self._file.close()

    def _open(self) -> FileIO:
        file = FileIO(self._path, "a+" if self._append else "w")
        try:
            if self._append and self._path.is_file():
                _lock(file)
                _cut_torn_line(file, self._path)
            status = os.fstat(file.fileno())
        except BaseException:
            file.close()
            raise
        written_s = status.st_mtime if status.st_size else self._clock.utc_ns() / 1e9
        self._began_in = self._period(written_s)
        return file

    def _period(self, at_s: float) -> int:
        period_s = self._rotation.period_s if self._rotation else None
        return 0 if period_s is None else int(at_s // period_s)

    def _rotate(self, rotation: Rotation) -> None:
        self.sync()
        self._path.rename(self._aside())
        self._file.close()
        self._file = self._open()
        self._tidy(rotation)

    def _aside(self) -> Path:
        moment = utc_datetime(self._clock.utc_ns())
        while True:
            path = self._path.with_suffix(f".{moment.strftime(_STAMP)}{self._path.suffix}")
            if not any(path.with_name(path.name + end).exists() for end in _SUFFIX.values()):
                return path
            moment += timedelta(microseconds=1)

    def _tidy(self, rotation: Rotation) -> None:
        """Compress and remove what was put aside. It is whole by now, so a failure costs nothing
        but space: the next rotation tries again."""
        try:
            for path in self._put_aside():
                if path.suffix == self._path.suffix:
                    compress(path, rotation.compression)
            if rotation.keep is not None:
                for path in self._put_aside()[: -rotation.keep]:
                    path.unlink()
        except OSError as error:
            log.warning("%s: cannot tidy rotated files: %s", self._path, error.strerror or error)

    def _put_aside(self) -> list[Path]:
        """The oldest first, for their names sort by time."""
        stem, end = re.escape(self._path.stem), re.escape(self._path.suffix)
        named = re.compile(rf"{stem}\.[0-9]{{8}}T[0-9]{{6}}\.[0-9]{{6}}Z{end}(\.gz|\.zst)?")
        return sorted(each for each in self._path.parent.iterdir() if named.fullmatch(each.name))


def compress(path: Path, compression: Compression) -> None:
    """Replace a file by its compressed self, `NAME.gz` or `NAME.zst`; a crash in between leaves the
    file as it was. Raises `OSError`."""
    if compression == "none":
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with path.open("rb") as plain, part.open("wb") as file:
            if compression == "gzip":
                with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
                    shutil.copyfileobj(plain, packed, _BLOCK_BYTES)
            else:
                import zstandard

                zstandard.ZstdCompressor().copy_stream(plain, file)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path.with_name(path.name + _SUFFIX[compression]))
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
    path.unlink()


def check_compression(compression: Compression) -> None:
    """Raise `ImportError`, with what to install, where this compression cannot be had."""
    if compression == "zstd" and find_spec("zstandard") is None:
        raise ImportError("zstd needs another package: pip install 'eyrie[zstd]'")


def _lock(file: FileIO) -> None:
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        why = "another process appends to it: stop that one, or choose another path"
        raise BlockingIOError(error.errno, why) from None


def _cut_torn_line(file: FileIO, path: Path) -> None:
    """Back to behind the last line break."""
    size = end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        end = start
        if found >= 0:
            end = start + found + 1
            break
    if end < size:
        log.warning("%s: cut off %d bytes of a line that was never finished", path, size - end)
        file.truncate(end)
    file.seek(0, os.SEEK_END)
