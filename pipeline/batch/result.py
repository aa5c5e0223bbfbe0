"""What passes between the coordinator and its workers: a job there, a result back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.batch.settings import Identity
from pipeline.core.errors import EyrieError


class CannotWrite(EyrieError):
    """The folder of results cannot be written: the disk is full or gone. The batch stops there."""

    def __init__(self, where: Path | str, why: object) -> None:
        super().__init__(f"{where}: {why}; when it can be written again, go on with --resume")


@dataclass(frozen=True, slots=True)
class Job:
    """Analyse the file `source`, and write its messages to `part`."""

    source: Path
    stream_id: str
    part: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a file. With an `error` the messages of the frames before it are in the part;
    `part_sha256` None: nothing was written.

    `content` is the BLAKE2b hash of the file in hex, `frames` those with a message, `detections`
    the count by label, `video_s` the media time, `work_s` what it took, `notes` warnings.
    """

    error: str | None = None
    size_bytes: int = 0
    mtime_ns: int = 0
    content: str = ""
    part_sha256: str | None = None
    part_bytes: int = 0
    decoded: int = 0
    frames: int = 0
    messages: int = 0
    detections: dict[str, int] = field(default_factory=dict)
    video_s: float = 0.0
    work_s: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: the model is loaded; hand me a job. `notes`: what was warned of meanwhile."""

    identity: Identity
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """From a worker: so far with this job; `expected` frames in all, None: unknown. Before the
    first frame the file is hashed, which is all that `hashed_bytes` tells."""

    decoded: int
    expected: int | None
    hashed_bytes: int = 0


NOTHING: Final = Progress(0, None)


@dataclass(frozen=True, slots=True)
class Broken:
    """From a worker, its last word. `fatal`: another worker would fare no better, with any file."""

    reason: str
    fatal: bool


FromWorker = Ready | Progress | Result | Broken
