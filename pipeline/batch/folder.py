"""The folder of results: who may write into it, what lies where, and how it gets there whole."""

import contextlib
import fcntl
import os
import shutil
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Final, Self

from pipeline.batch.inputs import place
from pipeline.batch.result import CannotWrite
from pipeline.core.errors import ConfigError

MANIFEST: Final = "manifest.sqlite"
REPORT: Final = "report.json"


@dataclass(slots=True)
class Folder:
    """`messages/` for files that are done, `failed/` for what came of the others before their
    error, both shaped like the inputs; `parts/` for what is being written."""

    path: Path
    _lock: FileIO = field(repr=False)

    @classmethod
    def open(cls, path: Path, resume: bool) -> Self:
        """Take the folder for this process; missing ones are made.

        Raises `ConfigError` when a batch is in it and `resume` is not asked for, when it holds
        anything else, or when another process works in it; `CannotWrite` when it cannot be
        written.
        """
        path = path.absolute()
        try:
            names = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
            _check(path, names, resume)
            path.mkdir(parents=True, exist_ok=True)
            folder = cls(path, _take_lock(path))
            shutil.rmtree(folder.parts, ignore_errors=True)
            for made in (folder.parts, folder.path / "messages", folder.path / "failed"):
                made.mkdir(exist_ok=True)
        except OSError as error:
            raise CannotWrite(error.filename, error.strerror) from error
        return folder

    def close(self) -> None:
        """Remove what is no result, and let other processes in. Idempotent."""
        if not self._lock.closed:
            shutil.rmtree(self.parts, ignore_errors=True)
            with contextlib.suppress(OSError):  # it holds results, or is gone
                (self.path / "failed").rmdir()
        self._lock.close()

    @property
    def parts(self) -> Path:
        """Where workers write."""
        return self.path / "parts"

    def result(self, path: str, *, failed: bool = False) -> Path:
        """Where the messages of an input belong."""
        return self.path / ("failed" if failed else "messages") / place(path)

    def settle(self, path: str, part: Path | None, *, failed: bool = False) -> None:
        """Put a part where it belongs in one step, durably, and remove what an earlier try has
        left. Doing it again does no harm. Raises `CannotWrite`."""
        target = self.result(path, failed=failed)
        try:
            if part is not None:
                _make_folders(target.parent)
                part.replace(target)
                _sync(target.parent)
            self.result(path, failed=not failed).unlink(missing_ok=True)
            if part is None:
                target.unlink(missing_ok=True)
        except OSError as error:
            raise CannotWrite(error.filename, error.strerror) from error

    def forget(self, path: str) -> None:
        """Remove what is there of an input. Raises `CannotWrite`."""
        self.settle(path, None)

    def holds(self, path: str, size_bytes: int) -> bool:
        """Is the result of a done file there, as long as it was?"""
        try:
            return self.result(path).stat().st_size == size_bytes
        except OSError:
            return False


def _check(path: Path, names: set[str], resume: bool) -> None:
    if path.exists() and not path.is_dir():
        raise ConfigError("--out", f"{str(path)!r} is no folder")
    if MANIFEST in names and not resume:
        why = "holds a batch already: go on with it by --resume, or name another folder"
        raise ConfigError("--out", f"{str(path)!r} {why}")
    if names - {"lock"} and MANIFEST not in names and not _only_begun(names):
        why = "is not empty and holds no batch: name another folder"
        raise ConfigError("--out", f"{str(path)!r} {why}")


def _only_begun(names: set[str]) -> bool:
    """Killed between making the folder and making the manifest."""
    return names <= {"lock", "parts", "messages", "failed"}


def _take_lock(path: Path) -> FileIO:
    lock = FileIO(path / "lock", "a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        why = "another eyrie batch is working in there: wait for it, or stop it"
        raise ConfigError("--out", f"{str(path)!r}: {why}") from None
    return lock


def _make_folders(path: Path) -> None:
    """With their names safe on the disk."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
