"""The tracker: detections of one stream in, tracks with lasting ids out.

    tentative ──confirm_hits──► confirmed ◄──match / no match──► lost ──lost_s──► ended
        └─no match─► forgotten (never had an id)

Where tracks are expected is in `motion`, what the camera did in `camera`, who is who in
`association`; `docs/tracking.md` tells why.
"""

import math
from typing import Any

import numpy as np

from pipeline.core.arrays import F32, F64, I32, I64, Bool
from pipeline.core.rows import cells, pick
from pipeline.core.tracks import Tracks
from stages.tracking.assignment import overlaps
from stages.tracking.association import Expected, associate, unmatched
from stages.tracking.camera import LEAST_PAIRS
from stages.tracking.camera import camera_motion as motion_in_boxes
from stages.tracking.found import Found, admit
from stages.tracking.motion import FARTHEST_PX, growth
from stages.tracking.params import TrackerParams
from stages.tracking.table import TrackTable

_CLOCK_SLACK_S = 1e-6
_GROWTH = (0.1, 10.0)
_LEAST_STEP_S = 1e-4  # of the clock, also where all of a step was rest
_LONGEST_STEP_S = 2.0  # a velocity says nothing about a longer silence


class Tracker:
    """The `stages.base.Tracker` that ships; one caller.

    Every id that was reported once appears in exactly one later `Tracks.ended`. Memory is bounded
    by the number of objects seen within `lost_s`.
    """

    def __init__(self, **params: Any) -> None:
        """`params` are fields of `TrackerParams`. Raises `ValueError` or `TypeError`."""
        self.params = TrackerParams(**params)
        self.dropped_boxes_total = 0
        """Detections ignored because the box or score was not finite, reversed or empty."""
        self._table = TrackTable()
        self._last_id = 0
        self._now_s = 0.0
        self._time_s: float | None = None
        self._fresh = True
        self._ended_by_reset: I64 = np.empty(0, np.int64)

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
        """Detections (N, 4), (N,), (N,) of the next frame -> its confirmed tracks, by rising id.

        - `score`: what lies outside [0, 1] is clipped, so that detectors with other scores work.
        - `time_s` is media time; without it, or when it does not rise, one `frame_s` passes.
        - `camera_motion` (2, 3) affine: pixels of the last update's frame -> pixels of this one.
          None: unknown, and found in the boxes where `camera_from_boxes` is set.
        - `features` (N, D): appearance, one row a detection; NaN or zeros where unknown. D stays
          the same until `reset`.
        - `rested_s`: of the time since the last update, nothing moved for so long. It does not
          count towards `lost_s`.

        Only tracks with a detection in this frame are reported. The order of detections does not
        matter; of more than 1,000 the best are looked at. Raises `ValueError` when shapes do not
        fit, the time is not finite, or the motion is none of a camera; bad boxes are dropped and
        counted in `dropped_boxes_total`.
        """
        params, table = self.params, self._table
        found, dropped = admit(xyxy, score, class_id, features, params.low_score)
        moved = None if camera_motion is None else _checked(camera_motion)
        if features is not None:
            table.look.expect(features.shape[1])
        step_s = self._advance(time_s, rested_s)
        self.dropped_boxes_total += dropped
        if not len(found) and not len(table.track_id):  # an empty street, all night long
            return self._nothing(found)
        table.motion.predict(min(step_s, _LONGEST_STEP_S), table.lost)
        chosen = self._associate(found, moved)
        self._hit(found, chosen)
        ended, chosen = self._end(chosen)
        chosen = self._begin(found, chosen)
        self._confirm()
        self._fresh = False
        return self._report(found, chosen, ended)

    def _nothing(self, found: Found) -> Tracks:
        """Of a frame without detections where nothing is tracked."""
        ended, self._ended_by_reset = self._ended_by_reset, self._ended_by_reset[:0]
        self._fresh = False
        return Tracks(found.xyxy, found.score, found.class_id, found.row, found.row, ended)

    def reset(self) -> None:
        """Forget all tracks, at a gap. Ids are not reused; the next update tells them as ended."""
        ids = self._table.track_id
        self._ended_by_reset = np.concatenate([self._ended_by_reset, ids[ids > 0]])
        self._table = TrackTable()
        self._time_s = None
        self._fresh = True

    def _advance(self, time_s: float | None, rested_s: float) -> float:
        """Seconds since the last frame, always above 0, so that lost tracks end whatever the
        stream's time does. While nothing moves, the clock by which they do stands still."""
        step_s = self.params.frame_s
        if time_s is not None:
            if not math.isfinite(time_s):
                raise ValueError(f"Tracker: time_s {time_s} is not finite")
            if self._time_s is not None and time_s > self._time_s:
                step_s = time_s - self._time_s
        self._time_s = time_s
        self._now_s += max(step_s - max(rested_s, 0.0), _LEAST_STEP_S)
        return step_s

    def _associate(self, found: Found, moved: F64 | None) -> I64:
        """Find the detection of each track, after the camera's motion: `moved`, or what boxes
        tell."""
        table = self._table
        if not len(table) or not len(found):
            if moved is not None:
                table.warp(moved)
            return np.full(len(table), -1, np.int64)
        expected = Expected.of(table, found)
        if moved is None and self.params.camera_from_boxes:
            moved = self._motion_in_boxes(found, expected)
        if moved is not None:
            table.warp(moved)
            expected = Expected.of(table, found)
        return associate(table, found, expected, self.params, self._now_s)

    def _motion_in_boxes(self, found: Found, expected: Expected) -> F64 | None:
        seen = (~self._table.lost).nonzero()[0]
        certain = (found.score >= self.params.high_score).nonzero()[0]
        if min(len(seen), len(certain)) < LEAST_PAIRS:
            return None
        boxes, overlap = pick(expected.boxes, seen), cells(expected.iou, seen[:, None], certain)
        return motion_in_boxes(boxes, pick(found.xyxy, certain), overlap)

    def _hit(self, found: Found, chosen: I64) -> None:
        rows = (chosen >= 0).nonzero()[0]
        everyone = len(rows) == len(chosen)
        seen = found.pick(chosen if everyone else chosen[rows])
        self._table.hit(slice(None) if everyone else rows, seen, self._now_s)

    def _end(self, chosen: I64) -> tuple[I64, I64]:
        """Forget tracks that are over: tentative ones at once, lost ones after `lost_s`.
        Gives the ids that ended and `chosen` of the tracks that stay."""
        table = self._table
        missed = chosen < 0
        table.lost = missed
        ended, self._ended_by_reset = self._ended_by_reset, self._ended_by_reset[:0]
        if not np.count_nonzero(missed):
            return ended, chosen
        tentative = table.track_id == 0
        silent = self._now_s - table.seen_s > self.params.lost_s + _CLOCK_SLACK_S
        over = missed & (tentative | silent)
        ended = np.concatenate([ended, table.track_id[over & ~tentative]])
        if np.count_nonzero(over):
            table.keep(~over)
            chosen = chosen[~over]
        return ended, chosen

    def _begin(self, found: Found, chosen: I64) -> I64:
        """Start tracks from unmatched detections; gives `chosen` with theirs appended."""
        births = unmatched(chosen, found.score >= self.params.birth_score).nonzero()[0]
        if not len(births):
            return chosen
        births = births[~self._duplicates(found, births, chosen[chosen >= 0])]
        x, y = found.xyxy[births, 0], found.xyxy[births, 1]
        births = births[np.lexsort((y, x, -found.score[births]))]
        self._table.add(found.pick(births), self._now_s)
        return np.concatenate([chosen, births])

    def _duplicates(self, found: Found, births: I64, matched: I64) -> Bool:
        """(K,) which of `births` (K,) are a second box of an object that has a track."""
        iou = overlaps(found.xyxy[births], found.xyxy[matched])[0]
        same = found.class_id[births][:, None] == found.class_id[matched]
        doubled: Bool = (same & (iou > self.params.duplicate_iou)).any(axis=1)
        return doubled

    def _confirm(self) -> None:
        """Give ids to tentative tracks that were seen often enough."""
        table = self._table
        ready = table.track_id == 0
        if not np.count_nonzero(ready):
            return
        if not self._fresh:
            ready &= table.hits >= self.params.confirm_hits
        count = int(np.count_nonzero(ready))
        if count:
            table.track_id[ready] = np.arange(1, count + 1) + self._last_id
            self._last_id += count

    def _report(self, found: Found, chosen: I64, ended: I64) -> Tracks:
        rows = ((self._table.track_id > 0) & (chosen >= 0)).nonzero()[0]
        seen = chosen[rows]
        return Tracks(
            xyxy=pick(found.xyxy, seen),
            score=found.score[seen],
            class_id=self._table.class_id[rows],
            track_id=self._table.track_id[rows],
            detection_index=found.row[seen],
            ended=ended,
        )


def _checked(affine: F64) -> F64:
    if affine.shape != (2, 3) or not np.isfinite(affine).all():
        raise ValueError(f"Tracker: camera_motion {affine.tolist()} is not a finite (2, 3) affine")
    (least, most), far = _GROWTH, np.abs(affine[:, 2]).max()
    if (
        not least <= growth(affine) <= most
        or np.abs(affine[:, :2]).max() > most
        or far > FARTHEST_PX
    ):
        raise ValueError(
            f"Tracker: camera_motion {affine.tolist()} is no motion of a camera: it scales by less "
            f"than {least:g} or more than {most:g}, or shifts by more than {FARTHEST_PX:g} px"
        )
    return affine.astype(np.float64, copy=False)
