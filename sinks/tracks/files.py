"""The times at which a sink that gathers writes its files, and what becomes of a disk's errors."""

from collections.abc import Callable
from pathlib import Path

from pipeline.core.clock import Clock
from pipeline.core.errors import SinkUnavailable
from sinks.paths import fixed_folder


class Files:
    """The files of one sink, `write` of which replaces one by what there is now. A file is due once
    `every_s` have passed since all were, if something `changed` in it; once it is `complete`; and
    at the end. One that cannot be written stays due."""

    def __init__(
        self, name: str, path: str, every_s: float, clock: Clock, write: Callable[[Path], None]
    ) -> None:
        """`name` of the sink, for errors; `path` as it was configured; `write` may raise
        `OSError`."""
        self._name, self._path, self._every_s = name, path, every_s
        self._clock, self._write = clock, write
        self._changed: set[Path] = set()
        self._due: set[Path] = set()
        self._written_s = clock.monotonic_s()

    def open(self) -> None:
        """Make the folder. Raises `SinkUnavailable`."""
        try:
            fixed_folder(self._path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkUnavailable(self._name, f"{error.filename}: {error.strerror}") from error

    def changed(self, path: Path) -> None:
        """There is more for this file."""
        self._changed.add(path)

    def complete(self, path: Path) -> None:
        """Write this one with the next flush, whatever the time."""
        self._due.add(path)

    def flush(self) -> None:
        """Write what is due; a disk is waited for as long as it takes. Raises `SinkUnavailable`."""
        now_s = self._clock.monotonic_s()
        if now_s - self._written_s >= self._every_s:
            self._due |= self._changed
            self._written_s = now_s
        self._write_due()

    def close(self) -> None:
        """Write all that changed. Raises `SinkUnavailable`."""
        self._due |= self._changed
        self._write_due()

    def _write_due(self) -> None:
        for path in sorted(self._due):
            try:
                self._write(path)
            except OSError as error:
                raise SinkUnavailable(self._name, f"{path}: {error.strerror or error}") from error
            self._due.discard(path)
            self._changed.discard(path)
