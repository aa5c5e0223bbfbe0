"""The words of evidence: what is asked for, what a file is called, what a job for the writer is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.core.arrays import U8
from pipeline.core.frame import FrameInfo
from pipeline.core.messages import Evidence
from stages.evidence.packets import Header, Kept

EvidenceKind = Literal["crop", "frame", "clip"]
Missing = Literal[
    "writer_busy", "disk_full", "too_many_clips", "no_key_frame", "codec", "no_box", "no_picture"
]
"""Why an event has no file of a kind: the writer has too much to do, the disk has no room for it,
too many clips of the stream are open, its buffer does not reach back to a key frame before the
event, MP4 does not hold the video, the event has no box in this picture, or the picture is gone
because the stream was reconfigured meanwhile."""

SUFFIXES: Final[dict[EvidenceKind, str]] = {"crop": "jpg", "frame": "jpg", "clip": "mp4"}

Refer = Callable[[str, str, FrameInfo, Sequence[float] | None], list[Evidence]]
"""A function (event, event_id, frame, box of its object in it or None) -> the references that go
into the message. Called by the publish thread, once for each event that happens or starts. Never
blocks or raises; an empty list where nobody wants evidence of this event."""


@dataclass(frozen=True, slots=True)
class SnapshotJob:
    """A picture to be encoded. `path` is relative to the folder of evidence; `image` (H, W, 3)
    uint8 RGB has been made private."""

    kind: EvidenceKind
    path: str
    image: U8
    quality: int

    @property
    def size_bytes(self) -> int:
        """The bytes that the job holds in memory."""
        return self.image.nbytes


@dataclass(frozen=True, slots=True)
class ClipJob:
    """Packets to be written, from a key frame on, in decoding order."""

    path: str
    header: Header
    packets: list[Kept]
    is_cut: bool = False
    """True: the clip ends early, because the buffer does not hold more."""
    kind: EvidenceKind = "clip"

    @property
    def size_bytes(self) -> int:
        """The bytes that the job holds in memory, also where other clips hold the same."""
        return sum(len(packet.data) for packet in self.packets)


Job = SnapshotJob | ClipJob


def path_of(stream_stem: str, event_id: str, kind: EvidenceKind) -> str:
    """The path of an event's file, relative to the folder of evidence: it can be told before the
    file is there."""
    return f"{stream_stem}/{event_id}-{kind}.{SUFFIXES[kind]}"
