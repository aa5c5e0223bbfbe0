"""The contracts of the stages. A stage is a plain object that a test calls: it retries nothing, and
waits for nobody but its device. Who may call what from which thread is said at each method."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

from pipeline.core.arrays import F32, F64, I32
from pipeline.core.clock import SECOND_NS
from pipeline.core.detections import Detections
from pipeline.core.frame import Frame
from pipeline.core.seen import FrameFeatures
from pipeline.core.tracks import Tracks

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

Decode = Literal["all", "no_nonref", "keyframes"]
"""The pictures that the decoder decodes: all, those that others refer to, or key frames."""
Hwaccel = Literal["none", "auto", "cuda", "vaapi"]
"""The choice of decoder: software; a device where there is one; a device of this kind, and nothing
else."""

LARGEST_STEP_BACK_NS: Final = SECOND_NS
"""A timestamp that steps back by less is a wrong one; by more, the stream's time has jumped."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """The decoder of a source's pictures, as far as is known."""

    asked: Hwaccel = "none"
    used: str = "software"
    """`software`, or the kind of device."""
    why: str = ""
    """The reason why it is software although a device was asked for; empty: there is none."""

    def __str__(self) -> str:
        return f"{self.used} ({self.why})" if self.why else self.used


@dataclass(slots=True)
class Times:
    """The findings of a source about the stream's time; see `docs/time.md`."""

    repaired_total: int = 0
    """Pictures whose timestamp was missing or impossible: theirs is made up."""
    wraps_total: int = 0
    """Wraps of the timestamps' counter, which then goes on from 0."""
    jumps_total: int = 0
    """Jumps of the stream's time, each with a new epoch."""
    clock_offset_ns: int | None = None
    """The camera's clock less ours, less the delay of its pictures; None: not measured."""

    def after(self, earlier: "Times") -> "Times":
        """The same findings with the totals of `earlier`, those of the connections before."""
        return Times(
            earlier.repaired_total + self.repaired_total,
            earlier.wraps_total + self.wraps_total,
            earlier.jumps_total + self.jumps_total,
            self.clock_offset_ns,
        )


@dataclass(slots=True)
class Counts:
    """The counts of one source's pictures, readable by any thread while it runs.

    `decoded_total = yielded + skipped_total + withheld_total + thinned_total`, and each of these
    takes a `seq`.
    """

    decoded_total: int = 0
    skipped_total: int = 0
    """Pictures left out to keep the stream's frame rate."""
    withheld_total: int = 0
    """Pictures left out because they are damaged."""
    thinned_total: int = 0
    """Pictures left out because the engine does not keep up, of sources that do so themselves."""
    corrupt_total: int = 0
    """All damage seen: damaged pictures, and packets that gave no picture and so took no `seq`."""
    packets_total: int = 0
    """Packets that came, of sources that have such: while it grows, the source is alive."""
    key_frames_total: int = 0
    """Packets of key frames, pictures that were encoded independently of all others."""
    undecoded_total: int = 0
    """Pictures that the decoder was told to pass over: no `seq`, not in `decoded_total`. Packets
    less pictures and failures, so while it runs the few that the decoder holds back are in it."""
    declared_fps: float | None = None
    """Pictures a second that the stream announces; None: nothing, or not known yet, or not all are
    decoded."""
    decoder: Decoder | None = None
    """The decoder, known with the first picture; None also where no codec decodes."""
    times: Times = field(default_factory=Times)
    chaos: dict[str, int] = field(default_factory=dict)
    """Faults that were made on purpose, by kind, over all connections."""


@dataclass(slots=True)
class Rest:
    """The counts of a stream's motion gate over all epochs; the decoding thread writes them."""

    frames_total: int = 0
    """Frames at rest: the engine did not see them."""
    changes_total: int = 0
    """How often a stream at rest was woken by its pictures."""
    at_rest: bool = False
    """True while the stream is at rest."""
    changed_ns: int | None = None
    """The UTC capture time of the last picture in which something changed; None: none yet."""


class PacketTap(Protocol):
    """Gets the packets of one connection as they are decoded; called by its decoding thread. Never
    blocks."""

    def packet(self, packet: "Packet[VideoStream]", shown_ns: int | None) -> None:
        """Take the next one, whose picture is at `shown_ns` of stream time; None: it has none."""

    def close(self) -> None:
        """Note that no more will come."""


class Source(Protocol):
    """The pictures of one stream, for one connection.

    A source is made anew for every connection, and `frames` is called once, in a thread of its own.
    After a reconnect it gets the next epoch and the next `seq`. It raises the epoch of its frames
    by itself where they stop being comparable: at a new picture size, and where its time jumps.
    """

    live: bool
    """True: real time passes whether or not frames are read, and an end is a disconnect.
    False: frames wait until they are read, and an end is the end."""

    frame_count: int | None
    """Frames to expect, known once `frames` has given one; None: unknown or endless."""

    @property
    def counts(self) -> Counts:
        """The counts as of now. Any thread."""

    def frames(self) -> Iterator[Frame]:
        """Yield frames in order; blocks in native code while decoding or waiting for the network.
        A gap between two `seq` are frames left out, above the frame rate or damaged: see `Counts`.

        Raises `SourceUnavailable` (missing, refused, lost) or `DecodeError` (no video in it).
        Ends without error at the end of a file, or after `close`.
        """

    def close(self) -> None:
        """Make `frames` end soon. Never blocks; may come from another thread, and twice."""


MakeSource = Callable[[int, int], Source]
"""A function (epoch, first seq) -> a source for one connection."""


class Looker(Protocol):
    """The part of a tracker's input that pixels tell; one object per stream, one caller."""

    def look(self, frame: Frame, detections: Detections) -> FrameFeatures:
        """Look at the next frame and its detections -> what its pixels tell. The thread that hands
        results on calls it, so all streams wait meanwhile. The picture is only read, and not kept;
        whatever is remembered is forgotten at a new `frame.info.epoch`. Never raises: what cannot
        be told is None."""


class Tracker(Protocol):
    """The giver of identities to the detections of one stream; one object per stream, one
    caller."""

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
        """Take the detections of the next frame, boxes (N, 4) in pixels, scores (N,) and class ids
        (N,), at media time `time_s` -> the tracks. `camera_motion` and `features` (N, D): see
        `FrameFeatures`; here, since the last update's frame. Of the time since that, nothing moved
        for `rested_s` seconds: no track is lost in it. It is given only where the stream's motion
        gate left out frames."""

    def reset(self) -> None:
        """Forget all tracks, at a gap: reconnect, seek, jump in time. Ids are not reused."""
