"""The evidence of the events of one stream: references while they are told, then the jobs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from pipeline.core.arrays import U8
from pipeline.core.clock import utc_datetime
from pipeline.core.frame import FrameInfo
from pipeline.core.messages import Evidence
from stages.evidence.base import EvidenceKind, Job, Missing, SnapshotJob, path_of
from stages.evidence.ring import PacketRing

JPEG_BYTES_PER_PIXEL: Final = 1.5
"""The bytes of a JPEG picture for each pixel, which hardly any exceeds: pixels take as many before
they are compressed, at 4:2:0."""


class Writer(Protocol):
    """The writer of evidence, which takes jobs as far as there is room. Any thread; never
    blocks."""

    def reserve(self, path: str, size_bytes: int) -> Missing | None:
        """Reserve room for one more file, of at most about this size -> None, or why there is none;
        then the file counts as dropped."""

    def release(self, path: str, why: Missing) -> None:
        """Give back room that is not needed: the file counts as dropped, for this reason."""

    def submit(self, job: Job) -> bool:
        """Hand in the job of a file into the room that was reserved. False: too many bytes wait;
        the file counts as dropped."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The pictures that are kept of which events; `events` None: of all. `margin` is a share of the
    object's box that a crop has around it."""

    events: frozenset[str] | None = None
    crop: bool = True
    frame: bool = True
    margin: float = 0.15
    quality: int = 85


@dataclass(slots=True)
class _Picture:
    kind: EvidenceKind
    path: str
    box: Sequence[float] | None = None


@dataclass(slots=True)
class EvidenceRecorder:
    """The recorder of one stream's events: `refer`, then `take` with the picture of the same frame;
    the publish thread. Clips come out of `ring` by themselves."""

    stem: str
    """The name of the stream's folder in that of evidence."""
    wanted: Wanted
    ring: PacketRing | None
    writer: Writer
    _due: list[_Picture] = field(default_factory=list)

    @property
    def wants_pictures(self) -> bool:
        """True if `take` is to be given the picture of every frame."""
        return self.wanted.crop or self.wanted.frame

    @property
    def due(self) -> bool:
        """True if an event of this frame wants its picture."""
        return bool(self._due)

    def refer(
        self, event: str, event_id: str, info: FrameInfo, box: Sequence[float] | None
    ) -> list[Evidence]:
        """Make the references of an event, see `stages.evidence.base.Refer`."""
        wanted = self.wanted
        if wanted.events is not None and event not in wanted.events:
            return []
        told = []
        if wanted.crop:
            told.append(self._crop(event_id, info, box))
        if wanted.frame:
            told.append(self._picture("frame", event_id, info.width, info.height))
        if self.ring is not None:
            told.append(self._clip(event_id, info, self.ring))
        return told

    def take(self, info: FrameInfo, image: U8 | None) -> None:
        """Keep what the frame's events want, once they are told. `image` is its picture, made
        private; None: there is none."""
        due, self._due = self._due, []
        for picture in due:
            if image is None:
                self.writer.release(picture.path, "no_picture")
                continue
            view = image if picture.box is None else _cut(image, picture.box, self.wanted.margin)
            self.writer.submit(SnapshotJob(picture.kind, picture.path, view, self.wanted.quality))
        if self.ring is not None:
            self.ring.published(info)

    def end(self) -> None:
        """Give up the pictures that are due: no frame of the stream will come."""
        due, self._due = self._due, []
        for picture in due:
            self.writer.release(picture.path, "no_picture")

    def _crop(self, event_id: str, info: FrameInfo, box: Sequence[float] | None) -> Evidence:
        if box is None:
            return Evidence(kind="crop", missing="no_box")
        grown = 1 + 2 * self.wanted.margin
        wide = min((box[2] - box[0]) * grown, info.width)
        tall = min((box[3] - box[1]) * grown, info.height)
        return self._picture("crop", event_id, wide, tall, box)

    def _picture(
        self,
        kind: EvidenceKind,
        event_id: str,
        width: float,
        height: float,
        box: Sequence[float] | None = None,
    ) -> Evidence:
        path = path_of(self.stem, event_id, kind)
        missing = self.writer.reserve(path, round(width * height * JPEG_BYTES_PER_PIXEL))
        if missing is not None:
            return Evidence(kind=kind, missing=missing)
        self._due.append(_Picture(kind, path, box))
        return Evidence(kind=kind, path=path)

    def _clip(self, event_id: str, info: FrameInfo, ring: PacketRing) -> Evidence:
        path = path_of(self.stem, event_id, "clip")
        missing = self.writer.reserve(path, ring.likely_bytes)
        if missing is None:
            missing = ring.open_clip(path, info)
            if missing is not None:
                self.writer.release(path, missing)
        if missing is not None:
            return Evidence(kind="clip", missing=missing)
        return Evidence(
            kind="clip",
            path=path,
            begins_at=utc_datetime(info.captured_ns - ring.before_ns),
            ends_at=utc_datetime(info.captured_ns + ring.after_ns),
        )


def _cut(image: U8, box: Sequence[float], margin: float) -> U8:
    """A copy of the box and its surroundings: a view would keep the whole picture in memory. A box
    outside of the picture gives its nearest edge."""
    height, width = image.shape[:2]
    left, top, right, bottom = box
    wide, tall = (right - left) * margin, (bottom - top) * margin
    left, right = np.clip((left - wide, right + wide), 0, width)
    top, bottom = np.clip((top - tall, bottom + tall), 0, height)
    x, y = min(int(left), width - 1), min(int(top), height - 1)
    u, v = max(int(np.ceil(right)), x + 1), max(int(np.ceil(bottom)), y + 1)
    return image[y:v, x:u].copy()
