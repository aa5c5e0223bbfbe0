"""The outlet to the folder of evidence: a bounded queue, a thread, an account."""

import errno
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Final

from pipeline.account import EvidenceReport
from pipeline.channel import Channel
from pipeline.core.errors import SinkUnavailable
from pipeline.core.log import get_logger
from pipeline.outlets.outlet import ThreadBody
from pipeline.supervise import Repeats
from stages.evidence.base import ClipJob, Job, Missing
from stages.evidence.files import write
from stages.evidence.keep import Retention
from stages.evidence.room import NO_SPACE, DiskRoom

log = get_logger(__name__)

NAME: Final = "evidence"
LOOK_EVERY_S: Final = 2.0
"""The time between two looks for files that have become too old, and for room on the disk, while
nothing is written."""
MOST_WAITING_BYTES: Final = 128 << 20
"""The most bytes of pictures and packets that wait for the writer. What is more, as of pictures in
4K, is dropped."""


class EvidenceOutlet:
    """The writer of the files that events refer to. It never holds anything up: what it has no room
    for is dropped and counted, and a file that cannot be written too.

    A file takes one of `capacity` places from its reservation on, and room on the disk as far as
    that was seen last: a clip also while its video is still to come. `reserve`, `release` and
    `submit` are for any thread and never block.
    """

    def __init__(self, folder: Path, keeper: Retention, capacity: int) -> None:
        self._folder, self._keeper, self._room = folder, keeper, DiskRoom(folder)
        self._capacity = capacity
        self._channel: Channel[Job] = Channel(capacity, "block")
        self._lock = threading.Lock()
        self._taken = self._waiting_bytes = self._bytes = self._cut = 0
        self._written: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._why: str | None = None
        self._aborted = False
        self._repeats = Repeats()

    @property
    def loops(self) -> list[ThreadBody]:
        """The work of the outlet, for a thread of its own."""
        return [(NAME, self.run)]

    def open(self) -> None:
        """Make the folder, see that it can be written, and what is in it. Raises
        `SinkUnavailable`."""
        probe = self._folder / ".probe.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
            self._keeper.open()
            self._room.look()
        except OSError as error:
            where = f"evidence.folder {self._folder}"
            raise SinkUnavailable(NAME, f"{where}: {error.strerror}") from error

    def reserve(self, path: str, size_bytes: int) -> Missing | None:
        """Reserve room for a file; see `stages.evidence.recorder.Writer`."""
        with self._lock:
            why: Missing | None = None
            if self._taken >= self._capacity or self._waiting_bytes >= MOST_WAITING_BYTES:
                why = "writer_busy"
            elif not self._room.promise(path, size_bytes):
                why = "disk_full"
            if why is None:
                self._taken += 1
            else:
                self._dropped[why] += 1
        if why == "disk_full":
            self._say(f"no room for {path}", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        return why

    def release(self, path: str, why: Missing) -> None:
        """Give reserved room back; see `stages.evidence.recorder.Writer`."""
        self._room.settle(path)
        with self._lock:
            self._taken -= 1
            self._dropped[why] += 1

    def submit(self, job: Job) -> bool:
        """Hand in a file's job; see `stages.evidence.recorder.Writer`. Its place was reserved."""
        size_bytes = job.size_bytes
        with self._lock:
            fits = self._waiting_bytes + size_bytes <= MOST_WAITING_BYTES or not self._waiting_bytes
            why = "stopped" if self._aborted else "memory"
            if not self._aborted and fits and self._channel.put(job):
                self._waiting_bytes += size_bytes
                return True
            self._taken -= 1
            self._dropped[why] += 1
        self._room.settle(job.path)
        return False

    def close(self) -> None:
        """Take no more jobs; those that wait are written. Any thread, any number of times."""
        self._channel.close()

    def abort(self) -> None:
        """Drop the jobs that wait. Any thread."""
        with self._lock:
            self._aborted = True
            given_up = self._channel.statistics().waiting
            self._channel.abort()
            self._taken -= given_up
            if given_up:
                self._dropped["stopped"] += given_up

    def run(self) -> None:
        """Write until the channel is finished. Blocks; a thread of its own."""
        while not self._channel.finished:
            fits = True
            for job in self._channel.take(1, LOOK_EVERY_S):
                fits = self._write(job)
                with self._lock:
                    self._taken -= 1
                    self._waiting_bytes -= job.size_bytes
            self._clear_out()
            if fits:
                self._look()

    def report(self) -> EvidenceReport:
        """The account as of now. Any thread."""
        with self._lock:
            return EvidenceReport(
                written=dict(self._written),
                dropped=dict(self._dropped),
                bytes=self._bytes,
                cut=self._cut,
                deleted=self._keeper.deleted_total,
                waiting=self._taken,
                note=self._why,
            )

    def _write(self, job: Job) -> bool:
        """Write one file. False: the disk is full."""
        try:
            size_bytes = write(self._folder, job)
        except Exception as error:  # noqa: BLE001 - of codecs in C any; no run ends by it; it is told
            is_full = isinstance(error, OSError) and error.errno in NO_SPACE
            self._room.settle(job.path)
            if is_full:
                self._room.exhausted()
            with self._lock:
                self._dropped["disk_full" if is_full else "failed"] += 1
            self._say(f"{job.path} could not be written", error)
            return not is_full
        self._room.settle(job.path, size_bytes)
        self._keeper.add(self._folder / job.path, size_bytes)
        with self._lock:
            self._written[job.kind] += 1
            self._bytes += size_bytes
            self._cut += isinstance(job, ClipJob) and job.is_cut
        return True

    def _look(self) -> None:
        try:
            self._room.look()
        except OSError as error:
            self._say(f"the room left in {self._folder} cannot be told", error)

    def _clear_out(self) -> None:
        try:
            self._keeper.apply()
        except OSError as error:
            self._say("old files could not be deleted", error)

    def _say(self, what: str, error: Exception) -> None:
        said = error.strerror if isinstance(error, OSError) else f"{error}"
        why = said or type(error).__name__
        text = f"evidence: {what}: {why}"
        with self._lock:
            self._why = text
        more = self._repeats.note(why)
        if more is not None:
            log.error("%s%s", text, more)
