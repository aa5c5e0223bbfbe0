"""The association of tracks and detections: the rounds in which tracks and detections find each
other.

1. All confirmed tracks and certain detections, by overlap, score and direction.
2. What is left of them and uncertain detections, by a strict overlap (Zhang et al., ByteTrack,
   ECCV 2022), also lost ones: who comes out of hiding is uncertain at first.
3. What is left and certain detections, by the box last seen (OC-SORT's recovery).
4. With features: lost tracks and certain detections that look the same, within reach.
5. Tentative tracks and certain detections.
6. All that are left, by widened boxes (Yang et al., C-BIoU, WACV 2023).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, I64, AnyArray, Bool
from stages.tracking.assignment import match, overlaps, widened
from stages.tracking.found import Found
from stages.tracking.params import TrackerParams
from stages.tracking.table import TrackTable

_LEAST_GAIN = np.float32(1e-4)
_LEAST_TENTATIVE = 0.3
_REACH_HEIGHTS, _REACH_HEIGHTS_PER_S = 1.0, 3.0


@dataclass(frozen=True, slots=True)
class Expected:
    """The boxes (T, 4) where tracks are expected, and how they overlap detections; see
    `overlaps`."""

    boxes: F32
    iou: F32
    alike: F32

    @classmethod
    def of(cls, table: TrackTable, found: Found) -> "Expected":
        """The expectations as the table says now."""
        boxes = table.motion.boxes()
        return cls(boxes, *overlaps(boxes, found.xyxy))


def associate(
    table: TrackTable, found: Found, expected: Expected, params: TrackerParams, now_s: float
) -> I64:
    """Find for every track, (T,), the index of its detection in `found`, or -1. Both hold some."""
    return _Rounds(table, found, expected, params).all(now_s)


class _Rounds:
    """One frame's association; `chosen` (T,) fills from round to round."""

    def __init__(
        self, table: TrackTable, found: Found, expected: Expected, params: TrackerParams
    ) -> None:
        self.table, self.found, self.expected, self.params = table, found, expected, params
        self.chosen = np.full(len(table), -1, np.int64)
        self.free = np.ones(len(found), np.bool_)
        """Detections that no track has chosen."""
        self.confirmed = table.track_id > 0
        self.high = found.score >= params.high_score
        other = table.class_id[:, None] != found.class_id
        self.penalty = np.float32(params.class_penalty) * other

    def all(self, now_s: float) -> I64:
        params, found = self.params, self.found
        alike = self.expected.alike - self.penalty
        fused = alike * found.score if params.fuse_score else alike
        self._first(fused)
        low = ~self.high
        if (self.free & low).any():
            iou = self.expected.iou - self.penalty
            self._pair(_gain(iou, params.least_iou_low), self.confirmed, low)
        if (self.free & self.high).any() and (self.chosen < 0).any():
            self._leftovers(fused, now_s)
        return self.chosen

    def _leftovers(self, fused: F32, now_s: float) -> None:
        params, table, found = self.params, self.table, self.found
        last = overlaps(table.history.box, found.xyxy)[1] - self.penalty
        self._pair(_gain(last, params.least_iou_last), self.confirmed, self.high)
        if found.features is not None:
            self._pair(self._same_look(found.features, now_s), table.lost, self.high)
        self._pair(_gain(fused, _LEAST_TENTATIVE), ~self.confirmed, self.high)
        boxes = self.expected.boxes
        wide, seen = widened(boxes, params.widen), widened(found.xyxy, params.widen)
        far = overlaps(wide, seen)[1] - self.penalty
        self._pair(_gain(far, params.least_iou_wide), self.chosen < 0, self.high)

    def _first(self, fused: F32) -> None:
        """By overlap above the least one, and where several have it, by what they prefer."""
        allowed = (fused >= self.params.least_iou) & (fused > 0)
        rows, cols = allowed.nonzero()
        if len(rows) == len(set(rows.tolist())) == len(set(cols.tolist())):  # undisputed
            clear = (self.confirmed[rows] & self.high[cols]).nonzero()[0]
            self._take(rows[clear], cols[clear])
            return
        gain = self._preferred(fused, allowed)
        first = np.where(allowed, np.maximum(gain, _LEAST_GAIN), 0)
        self._pair(first, self.confirmed, self.high)

    def _preferred(self, fused: F32, allowed: Bool) -> F32:
        """Overlap, and what direction and looks add; takes other looks out of `allowed`, in place,
        where there are others to choose from."""
        params, found = self.params, self.found
        gain = fused - np.float32(params.least_iou)
        if params.direction_weight:
            onward = self.table.history.onward(found.xyxy)
            gain += np.float32(params.direction_weight) * onward * found.score
        if found.features is not None:
            cosine, known = self.table.look.alike(found.features)
            likely = np.where(known, cosine - np.float32(0.5), np.float32(0))
            gain += np.float32(params.look_weight) * likely
            allowed &= ~(known & (cosine < params.other_look) & _disputed(allowed))
        return gain

    def _same_look(self, features: F32, now_s: float) -> F32:
        """Cosine above the least one where a track can have come since it was lost."""
        cosine, known = self.table.look.alike(features)
        before, after = self.expected.boxes, self.found.xyxy
        apart = (before[:, None, :2] + before[:, None, 2:] - after[:, :2] - after[:, 2:]) / 2
        height = before[:, 3] - before[:, 1]
        away_s = now_s - self.table.seen_s
        reach = (_REACH_HEIGHTS + _REACH_HEIGHTS_PER_S * away_s) * height
        near = (apart * apart).sum(axis=2) <= (reach * reach)[:, None]
        gain = _gain(cosine - self.penalty, self.params.same_look)
        found: F32 = np.where(known & near, gain, 0)
        return found

    def _pair(self, gain: AnyArray, tracks: Bool, detections: Bool) -> None:
        """Match those of `tracks` (T,) and `detections` (N,) that are still free."""
        rows = (tracks & (self.chosen < 0)).nonzero()[0]
        cols = (detections & self.free).nonzero()[0]
        if len(rows) and len(cols):
            matched_rows, matched_cols = match(gain[rows[:, None], cols])
            self._take(rows[matched_rows], cols[matched_cols])

    def _take(self, rows: I64, cols: I64) -> None:
        """These tracks choose these detections."""
        self.chosen[rows] = cols
        self.free[cols] = False


def unmatched(chosen: I64, detections: Bool) -> Bool:
    """The ones of `detections` (N,) that no track has chosen."""
    free = detections.copy()
    free[chosen[chosen >= 0]] = False
    return free


def _gain(alike: F32, least: float) -> F32:
    """What a pair is worth; 0 below `least`."""
    allowed = (alike >= least) & (alike > 0)
    gain: F32 = np.where(allowed, alike - np.float32(least) + _LEAST_GAIN, 0)
    return gain


def _disputed(allowed: Bool) -> Bool:
    """(T, N) where the track or the detection has another candidate."""
    disputed: Bool = (allowed.sum(axis=1, keepdims=True) > 1) | (allowed.sum(axis=0) > 1)
    return disputed
