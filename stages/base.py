"""The contracts of the stages. A stage is a plain object that a test calls; threads, queues and
retries live in `pipeline`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pipeline.core.arrays import F32, F64, I32
from pipeline.core.detections import Detections
from pipeline.core.frame import Frame
from pipeline.core.seen import Seen
from pipeline.core.tracks import Tracks

Decode = Literal["all", "no_nonref", "keyframes"]
"""Which pictures the decoder decodes: all, those that others refer to, or key frames."""
Hwaccel = Literal["none", "auto", "cuda", "vaapi"]
"""What decodes: software; a device where there is one; a device of this kind, and nothing else."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """What decodes the pictures of a source, as far as is known."""

    asked: Hwaccel = "none"
    used: str = "software"
    """Or the kind of device."""
    why: str = ""
    """Why it is software although a device was asked for."""

    def __str__(self) -> str:
        return f"{self.used} ({self.why})" if self.why else self.used


@dataclass(slots=True)
class Times:
    """What a source found out about the stream's time; see `docs/time.md`."""

    repaired_total: int = 0
    """Pictures whose timestamp was missing or impossible: theirs is made up."""
    wraps_total: int = 0
    """Counters that ran over and went on from 0."""
    jumps_total: int = 0
    """Jumps of the stream's time, each with a new epoch."""
    clock_offset_ns: int | None = None
    """The camera's clock less ours, less the delay of its pictures; None: not measured."""

    def after(self, earlier: "Times") -> "Times":
        """These, with the totals of the connections before."""
        return Times(
            earlier.repaired_total + self.repaired_total,
            earlier.wraps_total + self.wraps_total,
            earlier.jumps_total + self.jumps_total,
            self.clock_offset_ns,
        )


@dataclass(slots=True)
class Counts:
    """What became of the pictures of one source, readable while it runs.

    `decoded_total = yielded + skipped_total + withheld_total`, and each of these takes a `seq`.
    """

    decoded_total: int = 0
    skipped_total: int = 0
    """Left out to keep the stream's frame rate."""
    withheld_total: int = 0
    """Left out because they are damaged."""
    corrupt_total: int = 0
    """All damage: damaged pictures, and packets that gave no picture and so took no `seq`."""
    packets_total: int = 0
    """Packets that came, of sources that have such: while it grows, the source is alive."""
    key_frames_total: int = 0
    """Of these, key frames: pictures that were encoded independently of all others."""
    undecoded_total: int = 0
    """Pictures that the decoder was told to pass over: no `seq`, not in `decoded_total`. Packets
    less pictures and failures, so while it runs the few that the decoder holds back are in it."""
    declared_fps: float | None = None
    """Pictures a second that the stream announces; None: nothing, or not known yet, or not all are
    decoded."""
    decoder: Decoder | None = None
    """Known with the first picture; None also where nothing is decoded by a codec."""
    times: Times = field(default_factory=Times)
    chaos: dict[str, int] = field(default_factory=dict)
    """Faults that were made on purpose, by kind, over all connections."""


@dataclass(slots=True)
class Rest:
    """What a stream's motion gate did so far, over all epochs; the decoding thread counts."""

    frames_total: int = 0
    """Frames at rest: the engine did not see them."""
    changes_total: int = 0
    """How often a stream at rest was woken by its pictures."""
    at_rest: bool = False
    """Now."""
    changed_ns: int | None = None
    """UTC capture time of the last picture in which something changed."""


class Source(Protocol):
    """Pictures of one stream, for one connection.

    Made by the runner, which calls `frames` once in a thread of the stream's own. A live source is
    made anew for every reconnect, with the next epoch and the next `seq`. It raises the epoch of
    its frames by itself where they stop being comparable: at a new picture size, and where its
    time jumps.
    """

    live: bool
    """True: real time passes whether or not frames are read, and an end is a disconnect.
    False: frames wait until they are read, and an end is the end."""

    frame_count: int | None
    """Frames to expect, known once `frames` has given one; None: unknown or endless."""

    @property
    def counts(self) -> Counts:
        """As of now; any thread."""

    def frames(self) -> Iterator[Frame]:
        """Yield frames in order; blocks in native code while decoding or waiting for the network.
        A gap between two `seq` are frames left out, above the frame rate or damaged: see `Counts`.

        Raises `SourceUnavailable` (missing, refused, lost) or `DecodeError` (no video in it).
        Ends without error at the end of a file, or after `close`.
        """

    def close(self) -> None:
        """Make `frames` end soon. Never blocks; may come from another thread, and twice."""


class Looker(Protocol):
    """What a tracker wants to know of the pixels; one object per stream, one caller."""

    def look(self, frame: Frame, detections: Detections) -> Seen:
        """The next frame and what was found in it. The detect thread calls it for every frame, so
        all streams wait meanwhile. The picture is only read, and not kept; whatever is remembered
        is forgotten at a new `frame.info.epoch`. Never raises: what cannot be told is None."""


class Tracker(Protocol):
    """Gives identities to the detections of one stream; one object per stream."""

    def update(
        self,
        xyxy: F32,
        score: F32,
        class_id: I32,
        time_s: float | None = None,
        *,
        camera_motion: F64 | None = None,
        features: F32 | None = None,
        rested_s: float = 0.0,
    ) -> Tracks:
        """Detections (N, 4), (N,), (N,) of the next frame at media time `time_s` -> tracks.
        `camera_motion` and `features` (N, D): see `Seen`; here, from the last update's frame. Of
        the time since that, nothing moved for `rested_s`: no track is lost in it. It is given only
        where the stream's motion gate left out frames."""

    def reset(self) -> None:
        """Forget all tracks, at a gap: reconnect, seek, jump in time. Ids are not reused."""
