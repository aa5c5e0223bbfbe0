"""JSON Lines: one message a line, in one file, in one file per stream, or on standard output."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import SinkError, SinkGone, SinkUnavailable
from sinks.base import Outgoing
from sinks.line_file import LineFile, Rotation, check_compression
from sinks.paths import STREAM_ID, check_template, fixed_folder, path_for

STDOUT = "-"


class JsonLinesSink:
    """A `Sink` that writes each message as one line of UTF-8 JSON.

    `path` may hold `{stream_id}`: then every stream has a file, named by `paths.file_stem`.
    `-` is standard output. Missing folders are made. A run replaces the files of the run before,
    each at its first message; with `append` it goes on behind them, and `rotation` may put them
    aside: see `line_file.LineFile`.

    Each `write` reaches the operating system before it returns; `flush` also waits for the disk.
    When a disk is full, files are cut back to where they were before the failed write; only
    standard output cannot be taken back.
    """

    def __init__(
        self,
        path: str,
        name: str = "jsonl",
        *,
        append: bool = False,
        rotation: Rotation | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_template(path)
        if rotation is not None and not append:
            raise ValueError("files are rotated only where they are appended to")
        self.name = name
        self._template, self._append, self._rotation = path, append, rotation
        self._clock = clock or SystemClock()
        self._files: dict[Path, LineFile] = {}
        self._paths: dict[str, Path] = {}
        self._unsynced: set[Path] = set()
        self._stdout: FileIO | None = None
        self._is_open = False
        self.delivered_total = 0

    def open(self) -> None:
        if self._is_open:
            return
        try:
            check_compression(self._rotation.compression if self._rotation else "none")
            if self._template == STDOUT:
                self._stdout = FileIO(1, "w", closefd=False)
            elif STREAM_ID in self._template:
                folder = fixed_folder(self._template)
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
            else:
                path = Path(self._template)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.open("ab").close()
                if self._append:
                    self._file(path)
        except ImportError as error:
            raise SinkError(self.name, str(error)) from error
        except OSError as error:
            raise self._unavailable(error, self._template) from error
        self._is_open = True

    def write(self, messages: Sequence[Outgoing]) -> None:
        if not self._is_open:
            raise SinkUnavailable(self.name, f"{self._template} is not open")
        if self._stdout is not None:
            self._print(self._stdout, messages)
        else:
            self._write(messages)
        self.delivered_total += len(messages)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`. A disk cannot be hurried: may take longer than `timeout_s`."""
        for path in tuple(self._unsynced):
            try:
                self._files[path].sync()
            except OSError as error:
                raise self._unavailable(error, path) from error
            self._unsynced.discard(path)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._unsynced.clear()
        self._stdout = None
        self._is_open = False

    def _print(self, stdout: FileIO, messages: Sequence[Outgoing]) -> None:
        rest = memoryview(b"".join(message.body + b"\n" for message in messages))
        try:
            while rest:
                rest = rest[stdout.write(rest) :]
        except OSError as error:
            raise self._unavailable(error, self._template) from error

    def _write(self, messages: Sequence[Outgoing]) -> None:
        sizes: dict[LineFile, int] = {}
        path = Path(self._template)
        try:
            for path, lines in self._by_path(messages).items():
                file = self._file(path)
                file.make_room(len(lines))
                sizes[file] = file.size()
                file.write(lines)
                self._unsynced.add(path)
        except OSError as error:
            for file, size in sizes.items():
                # A device has no size to go back to; what failed before is the error worth telling.
                with suppress(OSError):
                    file.cut_back(size)
            raise self._unavailable(error, path) from error

    def _by_path(self, messages: Sequence[Outgoing]) -> dict[Path, bytes]:
        lines: dict[str, list[bytes]] = {}
        for message in messages:
            key = message.key if STREAM_ID in self._template else ""
            lines.setdefault(key, []).append(message.body + b"\n")
        return {self._path(key): b"".join(group) for key, group in lines.items()}

    def _path(self, key: str) -> Path:
        if key not in self._paths:
            self._paths[key] = path_for(self._template, key)
        return self._paths[key]

    def _file(self, path: Path) -> LineFile:
        file = self._files.get(path)
        if file is None:
            file = LineFile(path, self._rotation, self._clock, self._append)
            self._files[path] = file
        return file

    def _unavailable(self, error: OSError, path: Path | str) -> SinkError:
        if isinstance(error, BrokenPipeError):
            return SinkGone(self.name, "the reader of standard output is gone")
        return SinkUnavailable(self.name, f"{path}: {error.strerror or error}")
