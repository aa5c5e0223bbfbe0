"""The published tracks of one stream that are not over: what frame and end messages say of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.frame_record import DetectionRow, PlaneRow
from pipeline.core.messages import track_uid
from pipeline.core.tracks import Tracks

_SCALES: Final = np.array([100.0, 100.0, 100.0, 100.0, 10_000.0])
"""The factors of x1, y1, x2, y2 and score by which they are rounded: 2 and 4 decimal places."""


@dataclass(slots=True)
class PublishedTrack:
    """A published track: its class by the last vote, and the first and the last of its `frames`."""

    track_id: int
    uid: str
    class_id: int
    first: FrameInfo
    last: FrameInfo
    frames: int = 0

    @property
    def age_ms(self) -> float:
        """The media time in ms from the track's first frame to its last, both of one epoch."""
        return (self.last.pts_ns - self.first.pts_ns) / 1e6


class PublishedTracks:
    """The published tracks of one stream by id, from the first frame that tells them until they are
    taken out."""

    def __init__(self, run_id: str, stream_id: str) -> None:
        self._run_id, self._stream_id = run_id, stream_id
        self.begun: list[PublishedTrack] = []
        """The tracks that the last `see` was the first to tell."""
        self._lives: dict[int, PublishedTrack] = {}

    def see(self, info: FrameInfo, tracks: Tracks) -> dict[int, PublishedTrack]:
        """Note the tracks of the next frame -> their lives by the index of their detections. A
        track that is only predicted is left out."""
        self.begun = []
        seen = {}
        lives = self._lives
        columns = (tracks.track_id, tracks.class_id, tracks.detection_index)
        for track_id, class_id, index in zip(*(c.tolist() for c in columns), strict=True):
            if index < 0:
                continue
            life = lives.get(track_id)
            if life is None:
                uid = track_uid(self._run_id, self._stream_id, track_id)
                life = lives[track_id] = PublishedTrack(track_id, uid, class_id, info, info)
                self.begun.append(life)
            life.class_id, life.last = class_id, info
            life.frames += 1
            seen[index] = life
        return seen

    def take(self, track_ids: Sequence[int] | None = None) -> list[PublishedTrack]:
        """Take out the tracks that are over; None: all. Ids that were never published are left
        out."""
        over = list(self._lives) if track_ids is None else track_ids
        return [self._lives.pop(track_id) for track_id in over if track_id in self._lives]


def rows(
    info: FrameInfo,
    found: Detections,
    seen: Mapping[int, PublishedTrack],
    labels: Sequence[str],
    least: float,
    places: Mapping[int, PlaneRow],
) -> list[DetectionRow]:
    """The rows of frame `info`: those of score `least` and above, and those that continue one of
    the tracks `seen`; `places`: where these are on the plane. Scores are rounded to 4 places, boxes
    to 2, before they are judged. What is not finite is no detection and is not told."""
    table = np.empty((len(found), 5))  # in double precision, where 0.1 prints as 0.1
    table[:, :4], table[:, 4] = found.xyxy, found.score
    all_finite = math.isfinite(np.vdot(table, table))  # no square of a float32 overflows here
    table *= _SCALES
    np.rint(table, table)
    table /= _SCALES
    told, pts_ns = [], info.pts_ns
    for index, (class_id, box) in enumerate(
        zip(found.class_id.tolist(), table.tolist(), strict=True)
    ):
        score = box.pop()
        life = seen.get(index)
        if (life is None and score < least) or not (all_finite or math.isfinite(score + sum(box))):
            continue
        if not 0 <= score <= 1:
            score = float(score > 0)
        label = labels[class_id]
        if life is None:
            told.append(DetectionRow(label, class_id, score, box))
            continue
        age_ms = (pts_ns - life.first.pts_ns) / 1e6
        told.append(
            DetectionRow(
                label, class_id, score, box, life.track_id, life.uid, "confirmed", age_ms,
                places.get(index),
            )
        )  # fmt: skip
    return told
