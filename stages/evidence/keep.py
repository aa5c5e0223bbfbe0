"""The retention of evidence: the oldest goes first, and nothing goes that is not evidence."""

import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.core.clock import SystemClock
from stages.evidence.base import SUFFIXES
from stages.evidence.files import part_name

_OURS: Final = re.compile(
    "|".join(rf"[0-9a-f]{{32}}-{kind}\.{suffix}" for kind, suffix in SUFFIXES.items())
)
_STALE_PART_S: Final = 3600.0
"""The age after which nobody writes any more at a file that is not whole."""


@dataclass(order=True, slots=True)
class _File:
    written_s: float
    path: Path
    size_bytes: int


class Retention:
    """The evidence in `folder`: regular files with the name of an event's evidence, in a folder of
    a stream in it, whichever run wrote them. All else is left alone, also links. One thread.

    `most_bytes` and `longest_s`: what stays; None: no limit. The age of a file is that of its last
    change, by `now_s`, seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        most_bytes: int | None,
        longest_s: float | None,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self.deleted_total = 0
        self.held_bytes = 0
        self._folder, self._most_bytes, self._longest_s = folder, most_bytes, longest_s
        self._now_s = now_s or (lambda: SystemClock().utc_ns() / 1e9)
        self._files: dict[Path, _File] = {}
        """By rising age, oldest first."""

    def open(self) -> None:
        """Look at what is there, remove parts that a killed run has left, and apply the limits."""
        for found in sorted(_evidence(self._folder)):
            self._files[found.path] = found
            self.held_bytes += found.size_bytes
        for part in list(_parts(self._folder)):
            if self._now_s() - part.written_s > _STALE_PART_S:
                part.path.unlink(missing_ok=True)
        self.apply()

    def add(self, path: Path, size_bytes: int) -> None:
        """A file has been written; the limits are applied later, by `apply`."""
        self._forget(path)
        self._files[path] = _File(self._now_s(), path, size_bytes)
        self.held_bytes += size_bytes

    def apply(self) -> None:
        """Delete what is too old or too much, but never the newest file. Raises OSError where that
        is forbidden."""
        while len(self._files) > 1 and self._is_too_much(next(iter(self._files.values()))):
            path = next(iter(self._files))
            if _is_evidence(path):
                path.unlink(missing_ok=True)
                self.deleted_total += 1
            self._forget(path)

    def _is_too_much(self, oldest: _File) -> bool:
        if self._most_bytes is not None and self.held_bytes > self._most_bytes:
            return True
        age_s = self._now_s() - oldest.written_s
        return self._longest_s is not None and age_s > self._longest_s

    def _forget(self, path: Path) -> None:
        known = self._files.pop(path, None)
        if known is not None:
            self.held_bytes -= known.size_bytes


def _evidence(folder: Path) -> Iterator[_File]:
    return (found for found in _regular(folder) if _OURS.fullmatch(found.path.name))


def _parts(folder: Path) -> Iterator[_File]:
    """Evidence that is not whole."""
    for found in _regular(folder):
        name = found.path.name
        if any(name == part_name(ours) for ours in _OURS.findall(name)):
            yield found


def _regular(folder: Path) -> Iterator[_File]:
    """The files in the folders of streams; neither links nor what is behind them."""
    for stream in folder.iterdir():
        if stream.is_symlink() or not stream.is_dir():
            continue
        for path in stream.iterdir():
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                yield _File(found.st_mtime, path, found.st_size)


def _is_evidence(path: Path) -> bool:
    if _OURS.fullmatch(path.name) is None:
        return False
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
