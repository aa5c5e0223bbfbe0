"""What a batch reads: files below a root, each with a name for messages and a place for them."""

import errno
import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.core.errors import ConfigError
from pipeline.core.picture_files import VIDEO_SUFFIXES

SUFFIX: Final = ".jsonl"
_LONGEST_NAME_BYTES: Final = 255  # of a file, in Linux's file systems
_KEPT_ID: Final = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Input:
    """One file: `path` below the root (it may hold bytes that are no text, as Python escapes them),
    and what tells whether it has changed. A link that leads nowhere has 0 and 0."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """`files`, at least one, ordered by path, and the absolute `root` that they lie below."""

    root: Path
    files: tuple[Input, ...]


def find(source: str) -> Inputs:
    """The videos of a folder and of all folders below it, of a glob pattern, or one file.

    Of a folder: files with the suffix of a video. Names that begin with a dot are left out, links
    to files are followed, and links to folders are not. Of a pattern: every file that matches.
    Raises `ConfigError` when nothing is found, a folder cannot be read, or two results would need
    the same place.
    """
    try:
        root, paths = _locate(source)
        files = tuple(_input(root, path) for path in sorted(set(paths)))
    except OSError as error:
        where = os.fsdecode(error.filename) if error.filename else source
        raise ConfigError("", f"{where!r}: {error.strerror}") from error
    if not files:
        suffixes = " ".join(sorted(VIDEO_SUFFIXES))
        raise ConfigError("", f"{source!r}: no videos in there ({suffixes})")
    _check_places(files)
    return Inputs(root, files)


def _locate(source: str) -> tuple[Path, Iterable[str]]:
    """The root, and paths below it."""
    path = Path(source)
    if not source.strip() or "\0" in source:
        raise ConfigError("", f"{source!r} is no path: give a folder, a pattern or a video")
    if path.is_dir():
        return path.absolute(), _walk(path)
    if path.exists():
        return path.absolute().parent, [path.name]
    if not glob.has_magic(source):
        raise ConfigError("", f"{source!r}: no such file or folder")
    return _match(path)


def _walk(folder: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                yield os.path.relpath(Path(parent, name), folder)


def _match(pattern: Path) -> tuple[Path, Iterable[str]]:
    parts = pattern.parts
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    if ".." in parts[first:]:
        raise ConfigError("", f"{str(pattern)!r}: a pattern cannot have .. after its first * or ?")
    root = Path(*parts[:first]).absolute()
    inside = str(Path(*parts[first:]))
    found = glob.glob(inside, root_dir=root, recursive=True)  # noqa: PTH207 - relative to the root
    return root, [path for path in found if not (root / path).is_dir()]


def _input(root: Path, path: str) -> Input:
    size_bytes, mtime_ns = size_and_time(root / path)
    return Input(path, size_bytes, mtime_ns)


def size_and_time(path: Path) -> tuple[int, int]:
    """Size in bytes and modification time in ns; (0, 0) where there is no file. Raises OSError."""
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return 0, 0
        raise
    return status.st_size, status.st_mtime_ns


def _check_places(files: Sequence[Input]) -> None:
    """A file `a.mp4` needs the place `a.mp4.jsonl`, which must not be a folder of other results."""
    folders = {parent for file in files for parent in place(file.path).parents}
    for file in files:
        if place(file.path) in folders:
            why = (
                f"{file.path!r} and a folder {str(place(file.path))!r} need the same place in --out"
            )
            raise ConfigError("", f"{why}: rename one")


def place(path: str) -> Path:
    """Where the messages of the input `path` lie below a folder of results: the same path with
    `.jsonl` after it; of a name too long for that, its first bytes and a hash."""
    whole = Path(path)
    name = os.fsencode(whole.name)
    if len(name) + len(SUFFIX) <= _LONGEST_NAME_BYTES:
        return whole.with_name(whole.name + SUFFIX)
    return whole.with_name(f"{os.fsdecode(name[:200])}-{_digest(path)}{SUFFIX}")


def stream_id(path: str) -> str:
    """The id in messages of the input `path`: the path itself where it is an identifier; else its
    last 80 safe characters, `_` for what is between, and 16 hex digits of its BLAKE2b hash."""
    safe = _UNSAFE.sub("_", path)
    if safe == path and path[0].isalnum() and len(path) <= _KEPT_ID:
        return path
    return f"{safe[-_KEPT_ID:].strip('._-') or 'video'}-{_digest(path)}"


def _digest(path: str) -> str:
    return hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()
