"""What is kept of the events of one stream: references while they are told, then the jobs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pipeline.core.arrays import U8
from pipeline.core.clock import utc_datetime
from pipeline.core.frame import FrameInfo
from pipeline.core.messages import Evidence
from stages.evidence.base import EvidenceKind, Job, Missing, SnapshotJob, path_of
from stages.evidence.ring import PacketRing


class Writer(Protocol):
    """Takes jobs as far as there is room. Any thread; never blocks."""

    def reserve(self, kind: EvidenceKind) -> bool:
        """Room for one more file. False: there is none, and the file counts as dropped."""

    def release(self, kind: EvidenceKind, why: Missing) -> None:
        """The room is not needed: the file counts as dropped, for this reason."""

    def submit(self, job: Job) -> bool:
        """Into the room that was reserved. False: too many bytes wait; counted as dropped."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is kept of which events; `events` None: of all. `margin` is a share of the object's box
    that a crop has around it."""

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
class Desk:
    """One stream's. `refer`, then `take` with the picture of the same frame; the publish thread.
    Clips come out of `ring` by themselves."""

    stem: str
    """Its folder in that of evidence."""
    wanted: Wanted
    ring: PacketRing | None
    writer: Writer
    _due: list[_Picture] = field(default_factory=list)

    @property
    def wants_pictures(self) -> bool:
        """Whether `take` is to be given the picture of every frame."""
        return self.wanted.crop or self.wanted.frame

    @property
    def due(self) -> bool:
        """Whether an event of this frame wants its picture."""
        return bool(self._due)

    def refer(
        self, event: str, event_id: str, info: FrameInfo, box: Sequence[float] | None
    ) -> list[Evidence]:
        """See `stages.evidence.base.Refer`."""
        wanted = self.wanted
        if wanted.events is not None and event not in wanted.events:
            return []
        told = []
        if wanted.crop:
            told.append(self._picture("crop", event_id, box, missing=box is None))
        if wanted.frame:
            told.append(self._picture("frame", event_id))
        if self.ring is not None:
            told.append(self._clip(event_id, info, self.ring))
        return told

    def take(self, info: FrameInfo, image: U8 | None) -> None:
        """The frame's events are told; `image` is its picture, made private, None where there is
        none to be had."""
        due, self._due = self._due, []
        for picture in due:
            if image is None:
                self.writer.release(picture.kind, "no_picture")
                continue
            view = image if picture.box is None else _crop(image, picture.box, self.wanted.margin)
            self.writer.submit(SnapshotJob(picture.kind, picture.path, view, self.wanted.quality))
        if self.ring is not None:
            self.ring.published(info)

    def _picture(
        self,
        kind: EvidenceKind,
        event_id: str,
        box: Sequence[float] | None = None,
        *,
        missing: bool = False,
    ) -> Evidence:
        if missing:
            return Evidence(kind=kind, missing="no_box")
        if not self.writer.reserve(kind):
            return Evidence(kind=kind, missing="writer_busy")
        path = path_of(self.stem, event_id, kind)
        self._due.append(_Picture(kind, path, box))
        return Evidence(kind=kind, path=path)

    def _clip(self, event_id: str, info: FrameInfo, ring: PacketRing) -> Evidence:
        if not self.writer.reserve("clip"):
            return Evidence(kind="clip", missing="writer_busy")
        path = path_of(self.stem, event_id, "clip")
        missing = ring.open_clip(path, info)
        if missing is not None:
            self.writer.release("clip", missing)
            return Evidence(kind="clip", missing=missing)
        return Evidence(
            kind="clip",
            path=path,
            begins_at=utc_datetime(info.captured_ns - ring.before_ns),
            ends_at=utc_datetime(info.captured_ns + ring.after_ns),
        )


def _crop(image: U8, box: Sequence[float], margin: float) -> U8:
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
