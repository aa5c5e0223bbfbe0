"""What one case is to do, as a process of any language can be told."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["decode", "prepare", "engine", "pipeline", "peer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The work of a case, told to its process as a JSON object.

    - `kind`: `decode`: pictures out of the decoder, nothing made of them; `prepare`: these at the
      network's size, in a batch's memory; `engine`: the network alone on the same tensor again and
      again; `pipeline`: all of it, to a file of messages; `peer`: another program's loop.
    - `clips`: paths or addresses, one for each stream; `frames`: taken of each.
    - `model`: path of an ONNX file; None: pictures are prepared, and `found` boxes are in each.
    - `picture_height`, `picture_width`: of the clips, in pixels.
    - `height`, `width`: the network's own input in pixels; `pad`: the value around the picture.
    - `threads`: of the engine, for one batch, 0: all cores; `batch`: most pictures in one.
    - `score`, `iou`: the limits of detection and suppression.
    - `live`: the clips are sent as they would be by cameras, and every result's time is told.
    - `profile`: a file for where the CPU time goes, see `child/sampler.py`; empty: none.
    - `settings`: what else a case has: keys of the configuration, or a peer's own.

    Raises ValueError for numbers that make no sense.
    """

    kind: Kind
    clips: tuple[str, ...]
    frames: int
    model: str | None = None
    found: int = 0
    picture_height: int = 1080
    picture_width: int = 1920
    height: int = 416
    width: int = 416
    pad: int = 114
    threads: int = 0
    batch: int = 1
    score: float = 0.25
    iou: float = 0.5
    live: bool = False
    profile: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {self.kind!r}")
        for name in ("frames", "batch", "height", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("found", "threads"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not self.clips and self.kind != "engine":
            raise ValueError(f"{self.kind} needs a clip")

    @property
    def frames_total(self) -> int:
        """The frames of all streams together."""
        return self.frames * max(1, len(self.clips))

    def to_json(self) -> str:
        """As `from_json` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The job that `to_json` told."""
        said: dict[str, Any] = json.loads(text)
        return cls(**{**said, "clips": tuple(said["clips"])})


@dataclass(frozen=True, slots=True)
class Point:
    """Where on the axes a case is measured."""

    streams: int = 1
    width: int = 1920
    height: int = 1080
    batch: int = 4
    found: int = 0
    """Detections in every frame, where no model finds them."""

    def __str__(self) -> str:
        return (
            f"{self.streams} x {self.width}x{self.height}, batches of {self.batch}"
            + f", {self.found} detections" * (self.found > 0)
        )


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured at a point: the command of its process, and its job."""

    subject: str
    """What a table calls it, such as `pipeline`."""
    point: Point
    command: tuple[str, ...]
    """Program and arguments; the job follows as the last one."""
    job: Job
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that its process gets beside ours."""

    @property
    def name(self) -> str:
        """Distinct among the cases of a plan."""
        return f"{self.subject}, {self.point}"
