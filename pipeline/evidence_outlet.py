"""Between the pipeline and the folder of evidence: a bounded queue, a thread, an account."""

import threading
from collections import Counter
from pathlib import Path
from typing import Final

from pipeline.channel import Channel
from pipeline.core.errors import SinkUnavailable
from pipeline.core.log import get_logger
from pipeline.outlet import Loop
from pipeline.supervise import Repeats
from pipeline.telemetry import EvidenceReport
from stages.evidence.base import ClipJob, EvidenceKind, Job, Missing
from stages.evidence.files import write
from stages.evidence.keep import Keeper

log = get_logger(__name__)

NAME: Final = "evidence"
_LOOK_EVERY_S: Final = 30.0
"""How often files that have become too old are looked for, while nothing is written."""
MOST_WAITING_BYTES: Final = 128 << 20
"""Of pictures and packets that wait for the writer. Where pictures of 4K make more, they go."""


class EvidenceOutlet:
    """Writes what events refer to. Never holds anything up: what it has no room for is dropped and
    counted, and a file that cannot be written too.

    A file takes one of `capacity` places from its reservation on: a clip also while its video is
    still to come. `reserve`, `release` and `submit` are for any thread and never block.
    """

    def __init__(self, folder: Path, keeper: Keeper, capacity: int) -> None:
        self._folder, self._keeper = folder, keeper
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
    def loops(self) -> list[Loop]:
        """What is to be run, in a thread of its own."""
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
        except OSError as error:
            where = f"evidence.folder {self._folder}"
            raise SinkUnavailable(NAME, f"{where}: {error.strerror}") from error

    def reserve(self, kind: EvidenceKind) -> bool:
        """See `stages.evidence.desk.Writer`."""
        with self._lock:
            if self._taken >= self._capacity or self._waiting_bytes >= MOST_WAITING_BYTES:
                self._dropped["writer_busy"] += 1
                return False
            self._taken += 1
            return True

    def release(self, kind: EvidenceKind, why: Missing) -> None:
        """See `stages.evidence.desk.Writer`."""
        with self._lock:
            self._taken -= 1
            self._dropped[why] += 1

    def submit(self, job: Job) -> bool:
        """See `stages.evidence.desk.Writer`. The place that was reserved is free in the channel."""
        size_bytes = job.size_bytes
        with self._lock:
            fits = self._waiting_bytes + size_bytes <= MOST_WAITING_BYTES or not self._waiting_bytes
            why = "stopped" if self._aborted else "memory"
            if not self._aborted and fits and self._channel.put(job):
                self._waiting_bytes += size_bytes
                return True
            self._taken -= 1
            self._dropped[why] += 1
            return False

    def close(self) -> None:
        """No more jobs; what waits is written. Any thread, any number of times."""
        self._channel.close()

    def abort(self) -> None:
        """Give up what waits. Any thread."""
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
            for job in self._channel.take(1, _LOOK_EVERY_S):
                self._write(job)
                with self._lock:
                    self._taken -= 1
                    self._waiting_bytes -= job.size_bytes
            self._clear_out()

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

    def _write(self, job: Job) -> None:
        try:
            size_bytes = write(self._folder, job)
        except Exception as error:  # noqa: BLE001 - of codecs in C any; no run ends by it; it is told
            with self._lock:
                self._dropped["failed"] += 1
            self._say(f"{job.path} could not be written", error)
            return
        self._keeper.add(self._folder / job.path, size_bytes)
        with self._lock:
            self._written[job.kind] += 1
            self._bytes += size_bytes
            self._cut += isinstance(job, ClipJob) and job.is_cut

    def _clear_out(self) -> None:
        try:
            self._keeper.apply()
        except OSError as error:
            self._say("old files could not be deleted", error)

    def _say(self, what: str, error: Exception) -> None:
        why = error.strerror if isinstance(error, OSError) else f"{error}"
        text = f"evidence: {what}: {why or type(error).__name__}"
        with self._lock:
            self._why = text
        more = self._repeats.note(what if isinstance(error, OSError) else f"{why}")
        if more is not None:
            log.error("%s%s", text, more)
