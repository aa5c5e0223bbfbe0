"""Dead letters back into the spool that they came from, once what refused them was mended."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from sinks.spool.dead_letters import FILE_NAME, DeadLetter, parse_dead_letter
from sinks.spool.spool import Spool

_MOST: Final = 256
_MOST_BYTES: Final = 4 << 20


@dataclass(slots=True)
class Replayed:
    """The outcome for a file of dead letters: `moved` wait in the spool again. The others are still
    dead letters: for `no_room` the spool is full or too small, `unreadable` are none that Eyrie has
    written."""

    moved: int = 0
    no_room: int = 0
    unreadable: int = 0


def replay(spool: Spool) -> Replayed:
    """Append the dead letters of `spool` behind what waits in it, and take them out of their file.
    Blocks for the disk. `spool` is open, so no run uses it, and has `when_full="block"` and
    `fsync="always"`.

    They leave the file all at once, by a rename, when they are on the disk: a kill before leaves
    them there too, and the next `replay` appends them again, with the same ids. Raises `OSError`,
    which leaves the file as it was."""
    path = spool.folder / FILE_NAME
    rest = path.with_name(f"{FILE_NAME}.rest")
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        return Replayed()
    with lines, rest.open("wb") as left:
        done = _Moving(spool, left).move(lines)
        left.flush()
        os.fsync(left.fileno())
        is_empty = left.tell() == 0
    if is_empty:
        rest.unlink()
        path.unlink(missing_ok=True)
    else:
        rest.replace(path)
    _sync(spool.folder)
    return done


class _Moving:
    """One pass over the file: what cannot be moved is written to `left`."""

    def __init__(self, spool: Spool, left: BinaryIO) -> None:
        self._spool, self._left = spool, left
        self._done = Replayed()
        self._batch: list[tuple[bytes, DeadLetter]] = []
        self._bytes = 0

    def move(self, lines: BinaryIO) -> Replayed:
        for line in lines:
            letter = parse_dead_letter(line)
            if letter is not None:
                self._add(line, letter)
            elif line.strip():
                self._done.unreadable += 1
                self._keep(line)
        self._append()
        return self._done

    def _add(self, line: bytes, letter: DeadLetter) -> None:
        """One that may be larger than the whole spool goes alone: it gets no number, and stays."""
        most_bytes = min(_MOST_BYTES, self._spool.settings.segment_bytes)
        if len(self._batch) == _MOST or self._bytes + len(line) > most_bytes:
            self._append()
        self._batch.append((line, letter))
        self._bytes += len(line)

    def _append(self) -> None:
        last = self._last
        self._spool.append([letter.message for _, letter in self._batch])
        moved = self._last - last
        self._done.moved += moved
        self._done.no_room += len(self._batch) - moved
        for line, _ in self._batch[moved:]:
            self._keep(line)
        self._batch, self._bytes = [], 0

    @property
    def _last(self) -> int:
        return self._spool.account()[0].last

    def _keep(self, line: bytes) -> None:
        self._left.write(line if line.endswith(b"\n") else line + b"\n")


def _sync(folder: Path) -> None:
    """A rename is on the disk when its folder is."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
