"""A folder that is watched: video files are read as they come, each once it is complete."""

import contextlib
import fcntl
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import SourceError, SourceUnavailable
from pipeline.core.frame import Frame
from pipeline.core.log import get_logger
from pipeline.core.picture_files import VIDEO_SUFFIXES, files_in
from stages.base import Counts, Source

log = get_logger(__name__)

_LOOK_EVERY_S: Final = 0.5
_F_SETSIG: Final = 10  # Linux, asm-generic/fcntl.h; Python has no name for it

MakeFile = Callable[[Path, int, int], Source]
"""A function (path, epoch, first seq) -> a source for one file."""


class Stamp(NamedTuple):
    """A file as it was at one look. Equal stamps: not written to in between."""

    mtime_ns: int
    size: int
    inode: int


class Arrivals:
    """Decides which files are complete: those whose stamp has not changed for `settle_s`."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._since: dict[Path, tuple[Stamp, float]] = {}
        self._done: set[tuple[Path, Stamp]] = set()

    def look(self, files: Mapping[Path, Stamp], now_s: float) -> list[Path]:
        """Files that are complete and not done, oldest first. `now_s` never jumps."""
        waiting = {path: stamp for path, stamp in files.items() if (path, stamp) not in self._done}
        for path in self._since.keys() - waiting.keys():
            del self._since[path]
        for path, stamp in waiting.items():
            if self._since.get(path, (None, 0.0))[0] != stamp:
                self._since[path] = (stamp, now_s)
        settled = [path for path in waiting if now_s >= self._since[path][1] + self._settle_s]
        return sorted(settled, key=lambda path: (waiting[path].mtime_ns, path.name))

    def done(self, path: Path, stamp: Stamp) -> None:
        """Note that a file is done: it comes no more, unless it changes."""
        self._done.add((path, stamp))


class WatchSource:
    """The video files of a folder, those there and those that come, as one endless `Source`.

    A file is taken once its size and times have not changed for `settle_s` and, on this machine's
    own disks, nobody has it open for writing. Hidden names, and those that do not end like a
    video's, such as `a.mp4.part`, are left alone: whoever writes may rename when done. Of files
    that are complete, the one last changed longest ago comes first. Each has an epoch of its own. A
    file is read once, unless it changes later. One that cannot be read is named in an ERROR with
    the reason, counted in `failed_total`, and left; the next one follows.

    Without `existing`, files that are there at the start are not read. Raises `SourceUnavailable`
    for a folder that is missing at the start; one that goes away later is waited for.
    """

    live = False
    frame_count: int | None = None

    def __init__(
        self,
        stream_id: str,
        folder: str | Path,
        make_file: MakeFile,
        *,
        settle_s: float = 2.0,
        existing: bool = True,
        epoch: int = 0,
        first_seq: int = 0,
        clock: Clock | None = None,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self.stream_id, self.folder = stream_id, Path(folder)
        self.files_total = self.failed_total = 0
        self._make_file, self._existing = make_file, existing
        self._arrivals, self._look_every_s = Arrivals(settle_s), look_every_s
        self._next_epoch, self._first_seq = epoch, first_seq
        self._clock = clock or SystemClock()
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._before = Counts()
        self._file: Source | None = None
        self._away = False

    @property
    def counts(self) -> Counts:
        """The counts of all files so far."""
        with self._guard:
            return _sum(self._before, self._file.counts) if self._file else self._before

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`. Ends only after `close`."""
        try:
            files = _stamps(self.folder)
        except OSError as error:
            why = f"the folder {self.folder} cannot be watched: {error.strerror}"
            raise SourceUnavailable(self.stream_id, why) from error
        if not self._existing:
            for path, stamp in files.items():
                self._arrivals.done(path, stamp)
        while not self._stopped.is_set():
            ready = self._next(files)
            if ready is None:
                self._stopped.wait(self._look_every_s)
            else:
                yield from self._read(ready)
                self._arrivals.done(ready, files[ready])
            files = self._look()

    def close(self) -> None:
        """See `Source.close`."""
        self._stopped.set()
        with self._guard:
            file = self._file
        if file is not None:
            file.close()

    def _look(self) -> dict[Path, Stamp]:
        try:
            files = _stamps(self.folder)
        except OSError as error:
            if not self._away:
                log.warning("stream %r: the folder %s cannot be read: %s; waiting for it",
                             self.stream_id, self.folder, error.strerror)  # fmt: skip
            self._away = True
            return {}
        self._away = False
        return files

    def _next(self, files: Mapping[Path, Stamp]) -> Path | None:
        ready = self._arrivals.look(files, self._clock.monotonic_s())
        return next((path for path in ready if not is_being_written(path)), None)

    def _read(self, path: Path) -> Iterator[Frame]:
        file = self._make_file(path, self._next_epoch, self._first_seq + self.counts.decoded_total)
        with self._guard:
            self._file = file
        if self._stopped.is_set():
            return
        log.info("stream %r: reading %s", self.stream_id, path)
        try:
            with contextlib.closing(file):
                for frame in file.frames():
                    self._next_epoch = frame.info.epoch + 1
                    yield frame
        except SourceError as error:
            self.failed_total += 1
            log.error("stream %r: %s set aside: %s", self.stream_id, path.name, error.why)
        self.files_total += 1
        with self._guard:
            self._before, self._file = _sum(self._before, file.counts), None


def is_being_written(path: Path) -> bool:
    """True if a process of this machine has the file open for writing.

    By asking for a read lease, which Linux refuses then (fcntl(2), "Leases"). False where leases
    are not to be had: on network file systems, and for files of other users.
    """
    try:
        with path.open("rb") as file:
            # A writer that comes while the lease is held makes the kernel signal us: by default
            # SIGIO, which would end the process. SIGURG is ignored by default.
            fcntl.fcntl(file, _F_SETSIG, signal.SIGURG)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _stamps(folder: Path) -> dict[Path, Stamp]:
    stamps = {}
    for path in files_in(folder, VIDEO_SUFFIXES):
        with contextlib.suppress(FileNotFoundError):  # gone since it was listed
            status = path.stat()
            stamps[path] = Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
    return stamps


def _sum(before: Counts, now: Counts) -> Counts:
    return Counts(
        decoded_total=before.decoded_total + now.decoded_total,
        skipped_total=before.skipped_total + now.skipped_total,
        withheld_total=before.withheld_total + now.withheld_total,
        corrupt_total=before.corrupt_total + now.corrupt_total,
        packets_total=before.packets_total + now.packets_total,
        key_frames_total=before.key_frames_total + now.key_frames_total,
        undecoded_total=before.undecoded_total + now.undecoded_total,
        declared_fps=now.declared_fps,
        decoder=now.decoder,
        times=now.times.after(before.times),
    )
