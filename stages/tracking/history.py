"""The history of tracks, where they were seen last and in which direction they went: what was
observed, not filtered.

After Cao et al. (OC-SORT, CVPR 2023): a filter drifts while nothing is seen, an observation does
not.
"""

import numpy as np

from pipeline.core.arrays import F32, F64, I64, AnyArray
from pipeline.core.rows import pick, put
from stages.tracking.motion import FARTHEST_PX, warped

_KEPT = 4
_DIRECTION_S = 0.15  # observations nearer than that tell more of noise than of direction
_SURE_SHARE = 0.07  # of its height: a way from which on the direction is fully believed


class History:
    """The last observations of T tracks; rows as in `TrackTable`.

    - `box` (T, 4) float32: the last observed box.
    - `centre` (T, 4, 2), `at_s` (T, 4): the last four centres, newest first, and their times.
    """

    __slots__ = ("at_s", "box", "centre")

    def __init__(self) -> None:
        self.box: F32 = np.empty((0, 4), np.float32)
        self.centre: F32 = np.empty((0, _KEPT, 2), np.float32)
        self.at_s: F64 = np.empty((0, _KEPT))

    def add(self, xyxy: F32, now_s: float) -> None:
        """Append rows for boxes (N, 4) seen for the first time."""
        centre = np.repeat(_centre(xyxy)[:, None], _KEPT, axis=1)
        self.box = np.concatenate([self.box, xyxy])
        self.centre = np.concatenate([self.centre, centre])
        self.at_s = np.concatenate([self.at_s, np.full((len(xyxy), _KEPT), now_s)])

    def hit(self, rows: I64 | slice, xyxy: F32, now_s: float) -> None:
        """Take in the boxes (K, 4) seen for `rows` (K,); as a slice, all in place."""
        if isinstance(rows, slice):
            self.box[rows] = xyxy
            self.centre[rows, 1:] = self.centre[rows, :-1]
            self.at_s[rows, 1:] = self.at_s[rows, :-1]
            self.centre[rows, 0] = _centre(xyxy)
            self.at_s[rows, 0] = now_s
            return
        put(self.box, rows, xyxy)
        centres = self.centre.reshape(-1, 2 * _KEPT)
        newest = np.concatenate([_centre(xyxy), pick(centres, rows)[:, :-2]], axis=1)
        put(centres, rows, newest)
        times = np.full((len(rows), _KEPT), now_s)
        times[:, 1:] = pick(self.at_s, rows)[:, :-1]
        put(self.at_s, rows, times)

    def keep(self, rows: AnyArray) -> None:
        """Keep these rows (mask), forget the others."""
        self.box, self.centre, self.at_s = self.box[rows], self.centre[rows], self.at_s[rows]

    def warp(self, affine: F64) -> None:
        """Move with the camera: `affine` (2, 3), pixels before -> pixels now."""
        self.box = warped(affine, self.box)
        moved = self.centre @ affine[:, :2].T + affine[:, 2]
        self.centre = np.clip(moved, -FARTHEST_PX, FARTHEST_PX).astype(np.float32)

    def onward(self, rows: I64, xyxy: F32) -> F32:
        """The gain (P,) in [-0.5, 0.5]: how well each of the boxes (P, 4) lies in the direction in
        which the track of `rows` (P,) went; 0 where that went nowhere yet, or at right angles."""
        at_s, box = pick(self.at_s, rows), pick(self.box, rows)
        young = (at_s[:, :1] - at_s < _DIRECTION_S).sum(axis=1)
        places = self.centre.reshape(-1, 2)
        now, start = (
            pick(places, rows * _KEPT + back) for back in (0, np.minimum(young, _KEPT - 1))
        )
        way, to = now - start, _centre(xyxy) - start
        length = np.sqrt((way * way).sum(axis=1))
        distance = np.sqrt((to * to).sum(axis=1))
        along = (to * way).sum(axis=1)
        both = np.maximum(length * distance, np.float32(1e-6))
        angle = np.arccos(np.clip(along / both, -1, 1))
        height = box[:, 3] - box[:, 1]
        sure = np.minimum(length / np.maximum(_SURE_SHARE * height, np.float32(1e-6)), 1)
        onward: F32 = (np.float32(0.5) - angle * np.float32(1 / np.pi)) * sure
        return onward


def _centre(xyxy: F32) -> F32:
    return (xyxy[:, :2] + xyxy[:, 2:]) * np.float32(0.5)
