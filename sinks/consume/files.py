"""Reading JSON Lines files, with a place kept beside them or without one."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from pipeline.core.log import get_logger
from sinks.consume.address import FileAddress
from sinks.consume.base import ConsumeError, ConsumeUnavailable, Reading, Record

log = get_logger(__name__)

_MAGIC = set("*?[")
_MOST_BYTES = 1 << 20
_LONGEST_LINE_BYTES = 1 << 26
_LOOK_AGAIN_S = 0.1


class FileReader:
    """A `Reader` of one file, or of all that a pattern meets, by name one after the other.

    With a group, the place in `PATH` is kept in `PATH.GROUP.offset`. A file that is shorter than
    its place, or another one than before, is read from its start. A last line without its end
    waits for the rest; where nothing more is to be awaited, it is a record like others.
    """

    def __init__(self, address: FileAddress, reading: Reading) -> None:
        self.where = f"file:{address.pattern}"
        self._pattern, self._reading = address.pattern, reading
        self._places: dict[Path, int] = {}
        self._ends: dict[Path, int] = {}
        self._file: tuple[Path, BufferedReader] | None = None

    def open(self) -> None:
        """See `Reader.open`. Raises `ConsumeError` where no file is and none is to be awaited."""
        with self._told():
            paths = self._paths()
            if not paths and not self._reading.follow:
                raise ConsumeError(self.where, "there is no such file; correct the path")
            if not paths:
                log.warning("%s: there is no such file yet, waiting for it", self.where)
            self._ends = {path: path.stat().st_size for path in paths}
            for path, size in self._ends.items():
                kept = self._kept(path, size)
                newest = self._reading.begin == "newest"
                self._places[path] = (size if newest else 0) if kept is None else kept

    def read(self, within_s: float) -> list[Record]:
        deadline_s = time.monotonic() + within_s
        while True:
            with self._told():
                for path in self._paths() if self._reading.follow else list(self._ends):
                    if records := self._lines(path):
                        return records
            if not self._ends and time.monotonic() < deadline_s:
                time.sleep(min(_LOOK_AGAIN_S, within_s))
            else:
                return []

    @property
    def exhausted(self) -> bool:
        """See `Reader.exhausted`."""
        return not self._ends

    def acknowledge(self, records: Iterable[Record]) -> None:
        if self._reading.group is None:
            return
        ends = {record.source: int(record.offset) + len(record.body) + 1 for record in records}
        with self._told():
            for source, end in ends.items():
                path = Path(source)
                text = json.dumps({"offset": end, "inode": path.stat().st_ino})
                side = self._side_file(path)
                fresh = side.with_name(f"{side.name}.new")
                fresh.write_text(text)
                fresh.replace(side)

    def close(self) -> None:
        if self._file is not None:
            self._file[1].close()
            self._file = None

    def _paths(self) -> list[Path]:
        path = Path(self._pattern)
        if path.exists() or not _MAGIC.intersection(self._pattern):
            return [path] if path.exists() else []
        root = Path(path.anchor)
        return sorted(found for found in root.glob(str(path.relative_to(root))) if found.is_file())

    def _side_file(self, path: Path) -> Path:
        return path.with_name(f"{path.name}.{self._reading.group}.offset")

    def _kept(self, path: Path, size: int) -> int | None:
        if self._reading.group is None or not (side := self._side_file(path)).exists():
            return None
        try:
            kept = json.loads(side.read_text())
            offset, inode = int(kept["offset"]), int(kept["inode"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConsumeError(str(side), "holds no place; delete it to begin anew") from error
        return offset if offset <= size + 1 and inode == path.stat().st_ino else 0

    def _lines(self, path: Path) -> list[Record]:
        """Up to about a megabyte of whole lines from the file's place on."""
        file = self._opened(path)
        place = self._places.setdefault(path, 0)
        if os.fstat(file.fileno()).st_size < place:
            place = self._places[path] = 0  # written anew
        end = self._ends.get(path)
        if end is not None and place >= end:
            del self._ends[path]
        file.seek(place)
        records = []
        for line in _read_lines(file, path):
            if not line.endswith(b"\n") and self._reading.follow:
                break
            body = line.rstrip(b"\n")
            if body:
                records.append(Record(body, str(path), place))
            place += len(line)
        self._places[path] = place
        if not records:
            self._ends.pop(path, None)
        return records

    def _opened(self, path: Path) -> BufferedReader:
        if self._file is not None:
            known = self._file[0] == path
            if known and os.fstat(self._file[1].fileno()).st_ino == path.stat().st_ino:
                return self._file[1]
            if known:
                self._places[path] = 0  # another file of that name
            self.close()
        self._file = (path, path.open("rb"))
        return self._file[1]

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:  # it was moved away between two looks
            raise ConsumeUnavailable(str(error.filename), "is gone") from error
        except OSError as error:
            where = str(error.filename or self.where)
            raise ConsumeError(where, error.strerror or str(error)) from error


def _read_lines(file: BufferedReader, path: Path) -> Iterator[bytes]:
    """Lines of about a megabyte, from where the file stands. Raises `ConsumeError` for one that
    would fill the memory."""
    read_bytes = 0
    while read_bytes < _MOST_BYTES and (line := file.readline(_LONGEST_LINE_BYTES)):
        if len(line) == _LONGEST_LINE_BYTES:
            why = f"has a line of {_LONGEST_LINE_BYTES} bytes or more: no file of messages"
            raise ConsumeError(str(path), why)
        read_bytes += len(line)
        yield line
