"""The position of a spool in a file that survives `kill -9`, and the lock of who owns it."""

import contextlib
import fcntl
import os
import struct
from pathlib import Path
from typing import Final
from zlib import crc32

_SLOT: Final = struct.Struct("<QQI")
_NUMBERS: Final = struct.Struct("<QQ")
_SLOTS: Final = 2


class Position:
    """The number up to which everything is settled, and the highest there is: two numbers that only
    grow, in two slots written in turn, so that a write that is cut off leaves the one before it. It
    may lag behind what was stored last before a power cut."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. Raises `OSError`."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.numbers = _highest(os.pread(self._file, _SLOTS * _SLOT.size, 0))
        """Settled, and highest. None where neither slot is whole: a new file, or a damaged one."""
        self._slot = 0

    def store(self, settled: int, highest: int) -> None:
        """Raises `OSError`; the slot of the numbers before is still there then."""
        self._slot = (self._slot + 1) % _SLOTS
        crc = crc32(_NUMBERS.pack(settled, highest))
        os.pwrite(self._file, _SLOT.pack(settled, highest, crc), self._slot * _SLOT.size)
        self.numbers = settled, highest

    def close(self) -> None:
        """Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_position(path: Path) -> tuple[int, int] | None:
    """The numbers in a file that somebody else may be writing; None where there is none."""
    try:
        return _highest(path.read_bytes())
    except OSError:
        return None


def _highest(data: bytes) -> tuple[int, int] | None:
    numbers = []
    for at in range(0, len(data) - _SLOT.size + 1, _SLOT.size):
        settled, highest, crc = _SLOT.unpack_from(data, at)
        if crc == crc32(_NUMBERS.pack(settled, highest)):
            numbers.append((settled, highest))
    return max(numbers, default=None)


class Lock:
    """Keeps a folder for one process, until `release` or its death."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def take(self) -> int | None:
        """Take the lock -> None: it is ours; else the process that has it, 0 where that is unknown.
        Raises `OSError`."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            self._file = -1
            return read_owner(self._path) or 0
        self._tell(str(os.getpid()))
        return None

    def _tell(self, owner: str) -> None:
        """For people alone, so a full disk is no reason to fail; and it keeps its block, so that a
        disk which is full the next time has room for it."""
        with contextlib.suppress(OSError):
            os.pwrite(self._file, f"{owner:<15}\n".encode(), 0)

    def release(self) -> None:
        """Idempotent."""
        if self._file >= 0:
            self._tell("")
            os.close(self._file)
            self._file = -1


def read_owner(path: Path) -> int | None:
    """The process that has the lock, as far as its file tells: None where that is not alive."""
    try:
        told = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(told) if told.isdecimal() and Path(f"/proc/{told}").exists() else None
