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

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, I64, Bool
from pipeline.core.rows import cells, pick
from stages.tracking.assignment import disputed, match, match_pairs, overlaps, widened
from stages.tracking.found import Found
from stages.tracking.params import TrackerParams
from stages.tracking.table import TrackTable

Alike = Callable[[I64, I64], F32]
"""Of tracks (R,) and detections (C,), how alike each two are, (R, C)."""

_LEAST_GAIN = np.float32(1e-4)
_ABOVE_0 = float(np.finfo(np.float32).smallest_subnormal)
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
    """One frame's association; `chosen` (T,) fills from round to round.

    How alike tracks and detections are is told by methods, of tracks (R,) and detections (C,) ->
    (R, C): later rounds look only at what is left.
    """

    def __init__(
        self, table: TrackTable, found: Found, expected: Expected, params: TrackerParams
    ) -> None:
        self.table, self.found, self.expected, self.params = table, found, expected, params
        self.chosen = np.full(len(table), -1, np.int64)
        self.used = np.zeros(len(found), np.bool_)
        """Detections that a track has chosen."""
        self.confirmed = table.track_id > 0
        self.high = found.score >= params.high_score

    def all(self, now_s: float) -> I64:
        params, confirmed, high = self.params, self.confirmed, self.high
        self._first()
        if np.count_nonzero(self.used) == min(len(self.chosen), len(self.used)):
            return self.chosen
        self._pair(confirmed, ~high, params.least_iou_low, self._where_expected)
        if not np.count_nonzero(high & ~self.used):
            return self.chosen
        self._pair(confirmed, high, params.least_iou_last, self._where_last_seen)
        if self.found.features is not None:
            alike = self._same_look(self.found.features, now_s)
            self._pair(self.table.lost, high, params.same_look, alike)
        self._pair(~confirmed, high, _LEAST_TENTATIVE, self._fused)
        self._pair(self.chosen < 0, high, params.least_iou_wide, self._widened)
        return self.chosen

    def _first(self) -> None:
        """By overlap above the least one, and where several have it, by what they prefer."""
        params, found = self.params, self.found
        rows, cols = (self.expected.alike > 0).nonzero()
        fused = cells(self.expected.alike, rows, cols)
        other = self.table.class_id[rows] != found.class_id[cols]
        if np.count_nonzero(other):
            fused -= np.float32(params.class_penalty) * other
        if params.fuse_score:
            fused *= found.score[cols]
        allowed = fused >= max(params.least_iou, _ABOVE_0)
        if found.features is not None:
            self._refuse_other_looks(found.features, rows, cols, allowed)
        pairs = (allowed & self.confirmed[rows] & self.high[cols]).nonzero()[0]
        rows, cols, fused = rows[pairs], cols[pairs], fused[pairs]
        taken = match_pairs(rows, cols, lambda at: self._preferred(rows[at], cols[at], fused[at]))
        self._take(rows[taken], cols[taken])

    def _preferred(self, rows: I64, cols: I64, fused: F32) -> F32:
        """Of pairs (P,) the overlap, and what direction and looks add."""
        params, found = self.params, self.found
        gain = fused - np.float32(params.least_iou)
        if params.direction_weight:
            onward = self.table.history.onward(rows, pick(found.xyxy, cols))
            gain += np.float32(params.direction_weight) * onward * found.score[cols]
        if found.features is not None:
            cosine, known = self._looks(found.features, rows, cols)
            likely = np.where(known, cosine - np.float32(0.5), np.float32(0))
            gain += np.float32(params.look_weight) * likely
        preferred: F32 = np.maximum(gain, _LEAST_GAIN)
        return preferred

    def _refuse_other_looks(self, features: F32, rows: I64, cols: I64, allowed: Bool) -> None:
        """Take pairs (P,) of other looks out of `allowed`, in place, where there are others to
        choose from."""
        at = allowed.nonzero()[0]
        cosine, known = self._looks(features, rows[at], cols[at])
        other = known & (cosine < self.params.other_look)
        allowed[at] = ~(other & disputed(rows[at], cols[at]))

    def _looks(self, features: F32, rows: I64, cols: I64) -> tuple[F32, Bool]:
        """Of pairs (P,) the cosine of their looks, and whether both are known."""
        cosine, known = self.table.look.alike(features)
        return cells(cosine, rows, cols), cells(known, rows, cols)

    def _where_expected(self, rows: I64, cols: I64) -> F32:
        return cells(self.expected.iou, rows[:, None], cols) - self._penalty(rows, cols)

    def _fused(self, rows: I64, cols: I64) -> F32:
        alike = cells(self.expected.alike, rows[:, None], cols) - self._penalty(rows, cols)
        return alike * self.found.score[cols] if self.params.fuse_score else alike

    def _where_last_seen(self, rows: I64, cols: I64) -> F32:
        was, now = pick(self.table.history.box, rows), pick(self.found.xyxy, cols)
        return overlaps(was, now)[1] - self._penalty(rows, cols)

    def _widened(self, rows: I64, cols: I64) -> F32:
        share = self.params.widen
        wide = widened(pick(self.expected.boxes, rows), share)
        seen = widened(pick(self.found.xyxy, cols), share)
        return overlaps(wide, seen)[1] - self._penalty(rows, cols)

    def _same_look(self, features: F32, now_s: float) -> Alike:
        """Cosine where a track can have come since it was lost, else 0."""
        cosine, known = self.table.look.alike(features)
        before, after = self.expected.boxes, self.found.xyxy
        apart = (before[:, None, :2] + before[:, None, 2:] - after[:, :2] - after[:, 2:]) / 2
        height = before[:, 3] - before[:, 1]
        away_s = now_s - self.table.seen_s
        reach = (_REACH_HEIGHTS + _REACH_HEIGHTS_PER_S * away_s) * height
        near = (apart * apart).sum(axis=2) <= (reach * reach)[:, None]
        within = np.where(known & near, cosine, 0)

        def alike(rows: I64, cols: I64) -> F32:
            return cells(within, rows[:, None], cols) - self._penalty(rows, cols)

        return alike

    def _penalty(self, rows: I64, cols: I64) -> F32:
        """What other classes take off, (R, C)."""
        other = self.table.class_id[rows][:, None] != self.found.class_id[cols]
        penalty: F32 = np.float32(self.params.class_penalty) * other
        return penalty

    def _pair(self, tracks: Bool, detections: Bool, least: float, alike: Alike) -> None:
        """Match those of `tracks` (T,) and `detections` (N,) that are still free."""
        rows = (tracks & (self.chosen < 0)).nonzero()[0]
        cols = (detections & ~self.used).nonzero()[0]
        if len(rows) and len(cols):
            matched_rows, matched_cols = match(_gain(alike(rows, cols), least))
            self._take(rows[matched_rows], cols[matched_cols])

    def _take(self, rows: I64, cols: I64) -> None:
        """These tracks choose these detections."""
        self.chosen[rows] = cols
        self.used[cols] = True


def unmatched(chosen: I64, detections: Bool) -> Bool:
    """The ones of `detections` (N,) that no track has chosen."""
    free = detections.copy()
    free[chosen[chosen >= 0]] = False
    return free


def _gain(alike: F32, least: float) -> F32:
    """What a pair is worth; 0 below `least`."""
    allowed = alike >= max(least, _ABOVE_0)
    gain: F32 = np.where(allowed, alike - np.float32(least) + _LEAST_GAIN, 0)
    return gain
