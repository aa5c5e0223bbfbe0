"""The tracker: detections of one stream in, tracks with lasting ids out.

After ByteTrack (Zhang et al., ECCV 2022): confident detections are associated first, then the
unconfident ones may continue tracks that found none. A last round with widened boxes (Yang et al.,
C-BIoU, WACV 2023) catches what moved further than its own size.

    tentative ──confirm_hits──► confirmed ◄──match / no match──► lost ──lost_s──► ended
        └─no match─► forgotten (never had an id)
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.arrays import F32, I32, I64, Bool
from pipeline.core.tracks import Tracks
from stages.tracking.assignment import match, similarity, widened
from stages.tracking.params import TrackerParams
from stages.tracking.table import TrackTable

_FARTHEST_PX = 1e7  # beyond it, areas of float32 boxes lose all meaning
_CLOCK_SLACK_S = 1e-6
_LONGEST_STEP_S = 2.0  # a velocity says nothing about a longer silence


@dataclass(frozen=True, slots=True)
class _Found:
    """N usable detections; `row` (N,) is where the caller has them."""

    xyxy: F32
    score: F32
    class_id: I32
    row: I64


class Tracker:
    """Gives identities to the detections of one stream; one object per stream, one caller.

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

    def update(self, xyxy: F32, score: F32, class_id: I32, time_s: float | None = None) -> Tracks:
        """Detections (N, 4), (N,), (N,) of the next frame -> its confirmed tracks, by rising id.

        `time_s` is media time; without it, or when it does not rise, one `frame_s` passes. Only
        tracks with a detection in this frame are reported. The order of detections does not matter.
        Raises `ValueError` when shapes do not fit or the time is not finite; bad boxes are dropped
        and counted in `dropped_boxes_total`.
        """
        found = self._admit(xyxy, score, class_id)
        step_s = self._advance(time_s)
        table = self._table
        table.motion.predict(min(step_s, _LONGEST_STEP_S), table.lost)
        chosen = self._associate(found)
        self._hit(found, chosen)
        ended, chosen = self._end(chosen)
        chosen = self._begin(found, chosen)
        self._confirm()
        self._fresh = False
        return self._report(found, chosen, ended)

    def reset(self) -> None:
        """Forget all tracks, at a gap. Ids are not reused; the next update tells them as ended."""
        ids = self._table.track_id
        self._ended_by_reset = np.concatenate([self._ended_by_reset, ids[ids > 0]])
        self._table = TrackTable()
        self._time_s = None
        self._fresh = True

    def _admit(self, xyxy: F32, score: F32, class_id: I32) -> _Found:
        """Drop what is no box, and what scores too low to matter."""
        shapes = (xyxy.shape, score.shape, class_id.shape)
        count = len(score)
        if shapes != ((count, 4), (count,), (count,)):
            raise ValueError(f"Tracker: shapes {shapes} do not fit together")
        near = (np.abs(xyxy) < _FARTHEST_PX).all(axis=1)
        sound = near & (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1) & (score >= 0) & (score <= 1)
        self.dropped_boxes_total += count - int(np.count_nonzero(sound))
        row = np.flatnonzero(sound & (score >= self.params.low_score))
        return _Found(xyxy[row].astype(np.float32, copy=False), score[row], class_id[row], row)

    def _advance(self, time_s: float | None) -> float:
        """Seconds since the last frame, always above 0, so that lost tracks end whatever the
        stream's time does."""
        step_s = self.params.frame_s
        if time_s is not None:
            if not math.isfinite(time_s):
                raise ValueError(f"Tracker: time_s {time_s} is not finite")
            if self._time_s is not None and time_s > self._time_s:
                step_s = time_s - self._time_s
        self._time_s = time_s
        self._now_s += step_s
        return step_s

    def _associate(self, found: _Found) -> I64:
        """(T,) for every track the index of its detection in `found`, or -1."""
        params, table = self.params, self._table
        chosen = np.full(len(table), -1, np.int64)
        if not len(table) or not len(found.row):
            return chosen
        confirmed, high = table.track_id > 0, found.score >= params.high_score
        boxes = table.motion.boxes()
        alike = self._alike(boxes, found)
        fused = alike * found.score if params.fuse_score else alike
        _pair(chosen, fused, confirmed, high, params.least_iou)
        _pair(chosen, alike, confirmed & ~table.lost, ~high, params.least_iou_low)
        if (chosen < 0).any() and _free(chosen, high).any():
            wide = self._alike(boxes, found, params.widen)
            _pair(chosen, wide, chosen < 0, high, params.least_iou_wide)
        return chosen

    def _alike(self, boxes: F32, found: _Found, widen: float = 0) -> F32:
        """(T, N) similarity of the expected boxes (T, 4) and the detections, both widened."""
        return similarity(
            widened(boxes, widen),
            self._table.class_id,
            widened(found.xyxy, widen),
            found.class_id,
            self.params.class_penalty,
        )

    def _hit(self, found: _Found, chosen: I64) -> None:
        rows = np.flatnonzero(chosen >= 0)
        seen = chosen[rows]
        self._table.hit(
            rows, found.xyxy[seen], found.score[seen], found.class_id[seen], self._now_s
        )

    def _end(self, chosen: I64) -> tuple[I64, I64]:
        """Forget tracks that are over: tentative ones at once, lost ones after `lost_s`.
        Gives the ids that ended and `chosen` of the tracks that stay."""
        table = self._table
        missed = chosen < 0
        table.lost = missed
        tentative = table.track_id == 0
        silent = self._now_s - table.seen_s > self.params.lost_s + _CLOCK_SLACK_S
        over = missed & (tentative | silent)
        ended = np.concatenate([self._ended_by_reset, table.track_id[over & ~tentative]])
        self._ended_by_reset = ended[:0]
        if over.any():
            table.keep(~over)
            chosen = chosen[~over]
        return ended, chosen

    def _begin(self, found: _Found, chosen: I64) -> I64:
        """Start tracks from unmatched detections; gives `chosen` with theirs appended."""
        births = np.flatnonzero(_free(chosen, found.score >= self.params.birth_score))
        if not len(births):
            return chosen
        x, y = found.xyxy[births, 0], found.xyxy[births, 1]
        births = births[np.lexsort((y, x, -found.score[births]))]
        self._table.add(
            found.xyxy[births], found.score[births], found.class_id[births], self._now_s
        )
        return np.concatenate([chosen, births])

    def _confirm(self) -> None:
        """Give ids to tentative tracks that were seen often enough."""
        table = self._table
        ready = table.track_id == 0
        if not self._fresh:
            ready &= table.hits >= self.params.confirm_hits
        count = int(np.count_nonzero(ready))
        if count:
            table.track_id[ready] = np.arange(1, count + 1) + self._last_id
            self._last_id += count

    def _report(self, found: _Found, chosen: I64, ended: I64) -> Tracks:
        rows = np.flatnonzero((self._table.track_id > 0) & (chosen >= 0))
        seen = chosen[rows]
        return Tracks(
            xyxy=found.xyxy[seen],
            score=found.score[seen],
            class_id=self._table.class_id[rows],
            track_id=self._table.track_id[rows],
            detection_index=found.row[seen],
            ended=ended,
        )


def _free(chosen: I64, detections: Bool) -> Bool:
    """Those of `detections` (N,) that no track has chosen."""
    free = detections.copy()
    free[chosen[chosen >= 0]] = False
    return free


def _pair(chosen: I64, alike: F32, tracks: Bool, detections: Bool, least: float) -> None:
    """Match those of `tracks` (T,) and `detections` (N,) that are still free, into `chosen`."""
    rows = np.flatnonzero(tracks & (chosen < 0))
    cols = np.flatnonzero(_free(chosen, detections))
    if not len(rows) or not len(cols):
        return
    matched_rows, matched_cols = match(alike[np.ix_(rows, cols)], least)
    chosen[rows[matched_rows]] = cols[matched_cols]
