"""The folder of one spool: kept for one process, with what it must know of the runs before."""

import re
from pathlib import Path
from uuid import uuid4

from sinks.spool.position import Lock, Position


class SpoolFolder:
    """Keeps `path` for this process, from `take` to `release`. One thread at a time. Any method but
    `release` raises `OSError` where the disk refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock(path / "lock")
        self._position: Position | None = None

    @property
    def is_open(self) -> bool:
        """True from `position` to `release`."""
        return self._position is not None

    def take(self) -> int | None:
        """Take the folder, made if it is missing -> None: it is ours; else the process that has it,
        0 where that is unknown."""
        self.path.mkdir(parents=True, exist_ok=True)
        return self._lock.take()

    def identity(self) -> str:
        """The identity of what versions before `SegmentName` had one have stored, 32 hex digits; a
        new one where the file is missing or no longer whole. It also marks a folder as a spool."""
        path = self.path / "identity"
        try:
            known = path.read_text(encoding="ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            known = ""
        if re.fullmatch(r"[0-9a-f]{32}", known):
            return known
        made = uuid4().hex
        path.write_text(made, encoding="ascii")
        return made

    def position(self) -> tuple[int, int] | None:
        """Open the position: up to which number all was settled, and the highest there was; None
        where nobody knows."""
        self._position = Position(self.path / "position")
        return self._position.numbers

    def note(self, settled: int, highest: int) -> None:
        """Note where the numbers are now."""
        assert self._position is not None
        if self._position.numbers != (settled, highest):
            self._position.store(settled, highest)

    def release(self) -> None:
        """Let go of it. Idempotent."""
        if self._position is not None:
            self._position.close()
        self._position = None
        self._lock.release()
