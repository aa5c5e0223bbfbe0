"""One file through a pipeline of its own, into one file of messages."""

import asyncio
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from typing import Final

from detectors.base import Detector
from pipeline.account import Report
from pipeline.batch.inputs import size_and_time
from pipeline.batch.notes import noting
from pipeline.batch.result import CannotWrite, Job, Progress, Result
from pipeline.batch.settings import INSTANCE, FileClock, FrameByFrame, Identity, Settings
from pipeline.config import PipelineConfig
from pipeline.core.clock import Clock
from pipeline.core.errors import SinkGone
from pipeline.core.log import one_line
from pipeline.run.runner import Pipeline
from sinks.base import Outgoing

_TELL_EVERY_S: Final = 0.25
_BLOCK_BYTES: Final = 64 << 20


class _NoVideo(Exception):
    """The file cannot even be begun. One line."""


class PartFile:
    """A `Sink` into one file that is not a result yet. Counts and hashes what it takes.

    The first error of the disk ends it (`SinkGone`) and is kept as `failure`: the part is thrown
    away then, so nothing is cut back.
    """

    def __init__(self, path: Path) -> None:
        self.name = "part"
        self.failure: OSError | None = None
        self.size_bytes = self.messages = self.frames = 0
        self.first: bytes | None = None
        self.last: bytes | None = None
        """The first and the last frame message."""
        self.path = path
        self._file: FileIO | None = None
        self._sha256 = hashlib.sha256()

    def open(self) -> None:
        self._file = FileIO(self.path, "w")

    def write(self, messages: Sequence[Outgoing]) -> None:
        """See `Sink.write`."""
        assert self._file is not None
        for message in messages:
            if message.kind == "frame":
                self.frames += 1
                self.first = self.first or message.body
                self.last = message.body
        lines = b"".join(message.body + b"\n" for message in messages)
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.failure = error
            raise SinkGone(self.name, f"{self.path}: {error.strerror}") from error
        self._sha256.update(lines)
        self.size_bytes += len(lines)
        self.messages += len(messages)

    def flush(self, timeout_s: float) -> None:
        """Nothing waits here: the disk is waited for once, by `close`."""

    def close(self) -> None:
        """Wait for the disk. Idempotent."""
        if self._file is None:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self.failure = self.failure or error
        self._file.close()
        self._file = None

    @property
    def sha256(self) -> str:
        """The checksum of all that was written, in hex."""
        return self._sha256.hexdigest()

    @property
    def video_s(self) -> float:
        """Media time of the frames: from the first to the last and one frame more."""
        if self.first is None or self.last is None or self.frames < 2:
            return 0.0
        span_ns = json.loads(self.last)["pts_ns"] - json.loads(self.first)["pts_ns"]
        return float(span_ns / 1e9 * self.frames / (self.frames - 1))


def analyse(
    job: Job,
    settings: Settings,
    identity: Identity,
    detector: Detector,
    tell: Callable[[Progress], object],
) -> Result:
    """Read the file to its end, write its messages to `job.part`; blocks. `identity` is that of the
    settings with this detector; `tell` hears now and then how far it is.

    What is wrong with the file is the result's `error`. Raises `CannotWrite` for what is
    wrong with the disk, `DetectorError` for the engine.
    """
    began_s = time.monotonic()
    try:
        before = _regular(job.source)
        content = _digest(job.source, tell)
        config = settings.config_for(job.source, job.stream_id, identity.run_id(content))
        part = PartFile(job.part)
        with noting() as notes:
            report = _run(config, detector, part, FileClock(before[1]), tell)
        error = _error(report, job, before)
    except _NoVideo as failure:
        return Result(error=str(failure), work_s=round(time.monotonic() - began_s, 3))
    stream = report.streams[0]
    return Result(
        error=error,
        size_bytes=before[0],
        mtime_ns=before[1],
        content=content,
        part_sha256=part.sha256,
        part_bytes=part.size_bytes,
        decoded=stream.decoded,
        frames=stream.published,
        messages=part.messages,
        detections=dict(sorted(stream.detections.items())),
        video_s=round(part.video_s, 3),
        work_s=round(time.monotonic() - began_s, 3),
        notes=tuple(line for line in notes if line != stream.error),
    )


def _regular(path: Path) -> tuple[int, int]:
    """Size and time of a regular file. What else has the name is never opened: a pipe would not
    return."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise _NoVideo(one_line(f"{path} is not a regular file"))
        return size_and_time(path)
    except OSError as error:
        raise _NoVideo(one_line(f"{path} cannot be read: {error.strerror}")) from error


def _digest(path: Path, tell: Callable[[Progress], object]) -> str:
    """BLAKE2b (RFC 7693) of the file, 16 bytes in hex."""
    digest, hashed_bytes = hashlib.blake2b(digest_size=16), 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                hashed_bytes += len(block)
                tell(Progress(0, None, hashed_bytes))
    except OSError as error:
        raise _NoVideo(one_line(f"{path} cannot be read: {error.strerror}")) from error
    return digest.hexdigest()


def _run(
    config: PipelineConfig,
    detector: Detector,
    part: PartFile,
    clock: Clock,
    tell: Callable[[Progress], object],
) -> Report:
    try:
        return asyncio.run(_watch(config, FrameByFrame(detector), part, clock, tell))
    except OSError as error:
        raise CannotWrite(error.filename or config.streams[0].id, error.strerror) from error
    finally:
        part.close()
        if part.failure is not None:
            raise CannotWrite(part.path, part.failure.strerror) from part.failure


async def _watch(
    config: PipelineConfig,
    detector: Detector,
    part: PartFile,
    clock: Clock,
    tell: Callable[[Progress], object],
) -> Report:
    async with Pipeline(
        config, detector=detector, sinks=[part], clock=clock, instance=INSTANCE
    ) as pipeline:
        done = asyncio.create_task(pipeline.wait())
        while not done.done():
            await asyncio.wait([done], timeout=_TELL_EVERY_S)
            stream = pipeline.report().streams[0]
            tell(Progress(stream.decoded, stream.frames_expected))
        return await done


def _error(report: Report, job: Job, before: tuple[int, int]) -> str | None:
    """Why the messages are not those of a whole file, which did not change meanwhile."""
    after = _regular(job.source)
    if after != before:
        return one_line(f"{job.source} changed while it was read")
    errors = report.errors
    return errors[0].removeprefix(f"stream {job.stream_id!r}: ") if errors else None
