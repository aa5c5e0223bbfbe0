"""The test whether something in a picture changed: a small grey picture against the scene.

What the scene looks like is a running mean, and how much each cell differs from it now and then is
one, too. A cell has changed where it differs by more than

- a least step of grey,
- the noise of this picture, from the median difference of all cells (an object covers few of them),
- what this cell has differed by lately: a lamp that blinks half of the time, leaves in the wind.
  What is there for less than `1 / _BUSY` of the time stands out from that.

Light changes everywhere, or in a part of the picture: each cell is compared with what the scene's
light around it makes of it, the ratio of the means over a neighbourhood. Grains of rain or of a
codec are single cells at changing places, so that only a cluster counts that is there twice.
"""

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from pipeline.core.arrays import F32, U8, Bool

LONGEST_SIDE: Final = 192
"""Cells on the longer side of a picture."""
LEAST_STEP: Final = 9.0
"""Grey levels of 255 that a cell must differ by, at a sensitivity of 0.5."""
_NOISES: Final = 6.0
"""Times the median difference of a picture."""
_ALL: Final = 6.0
_ALL_NOISES: Final = 3.0
"""The factor on the usual median above which, and above `_ALL` grey levels, all has changed: the
camera turns."""
_BUSY: Final = 2.5
_BUSY_S: Final = 20.0
_SCENE_S: Final = 30.0
_FOLLOW_S: Final = 0.5
"""While something moves, the scene follows quickly: what has stopped is a part of it."""
_AROUND: Final = 13
"""Cells of half the size, across the neighbourhood."""
_CLUSTER: Final = 4
"""Cells of a neighbourhood of nine."""
_TWICE_WITHIN_S: Final = 0.15
"""Pictures further apart need not confirm each other: what is fast would be gone."""
_DARK: Final = 8.0
_MOST: Final = 64.0
_NOISE_STRIDE: Final = 17

Region = Sequence[tuple[float, float]]
"""Corners as shares of the picture's width and height."""


def luma_size(height: int, width: int) -> tuple[int, int]:
    """The (rows, columns) of the grey picture that is asked of a picture of this size in pixels."""
    shrink = min(1.0, LONGEST_SIDE / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


class PictureChange:
    """The scene of one stream; pictures of another size begin anew. About ten passes over some
    20,000 cells: no pixel of the full picture is looked at here."""

    def __init__(self, sensitivity: float = 0.5, ignore: Sequence[Region] = ()) -> None:
        """`sensitivity` 0 to 1: each half more makes the steps that count four times smaller.
        `ignore`: regions in which nothing counts."""
        self._least = LEAST_STEP * 4.0 ** (1 - 2 * sensitivity)
        self._noises = _NOISES * 2.0 ** (1 - 2 * sensitivity)
        self._ignore = ignore
        self._planes: _Planes | None = None
        self._before: Bool | None = None
        self._mean_of = 1.0
        self._noise: float | None = None

    def reset(self) -> None:
        """Forget the scene: the next picture is the first."""
        self._planes, self._before, self._mean_of, self._noise = None, None, 1.0, None

    def update(self, luma: U8, step_s: float) -> bool:
        """The next grey picture (rows, columns), `step_s` > 0 after the one before -> something has
        changed. The first one is no change."""
        if self._planes is None or self._planes.scene.shape != luma.shape:
            self.reset()
            self._planes = _Planes(luma, self._ignore)
            return False
        planes = self._planes
        planes.compare(luma)
        changed = self._stands_out(planes, step_s)
        planes.learn(self._share(step_s, changed=changed), _lapsed(step_s, _BUSY_S))
        return changed

    def _share(self, step_s: float, *, changed: bool) -> float:
        """The share of the picture in the scene. While something moves, the scene follows quickly.
        Then it is the mean of ever more pictures, so that it loses its noise and holds against what
        is slow."""
        if changed:
            share = _lapsed(step_s, _FOLLOW_S)
            self._mean_of = min(self._mean_of, 1 / share)
            return share
        self._mean_of += 1
        return max(1 / self._mean_of, _lapsed(step_s, _SCENE_S))

    def _stands_out(self, planes: "_Planes", step_s: float) -> bool:
        noise = planes.noise()
        before, self._before = self._before, None
        usual = noise if self._noise is None else self._noise
        if noise > max(_ALL, _ALL_NOISES * usual):
            return True
        self._noise = usual + (noise - usual) * _lapsed(step_s, _BUSY_S)
        hot = planes.above(max(self._least, self._noises * noise))
        if not hot.any():
            return False
        cluster = _clusters(hot)
        if not cluster.any():
            return False
        self._before = cluster
        if step_s > _TWICE_WITHIN_S:
            return True
        return before is not None and bool((cluster & before).any())


class _Planes:
    """What is known of every cell, (rows, columns) float32 each.

    - `scene`: its running mean; `around`: see `_around`, its running mean.
    - `busy`: by how much it differs from the scene, in the mean. `off`: by how much now.
    """

    def __init__(self, luma: U8, ignore: Sequence[Region]) -> None:
        self.scene: F32 = luma.astype(np.float32)
        self.around: F32 = _around(luma)
        self.busy: F32 = np.zeros_like(self.scene)
        self.off: F32 = np.zeros_like(self.scene)
        self._now, self._now_around = self.scene.copy(), self.around.copy()
        self._limit: F32 = np.empty_like(self.scene)
        self._counts = _mask(luma.shape, ignore) if ignore else None

    def compare(self, luma: U8) -> None:
        """The next picture against the scene in the light of now."""
        np.copyto(self._now, luma)
        self._now_around = _around(luma)
        brighter = cv2.divide(self._now_around, self.around)
        cv2.resize(brighter, luma.shape[::-1], self.off)
        cv2.multiply(self.off, self.scene, self.off)
        cv2.absdiff(self.off, self._now, self.off)
        np.minimum(self.off, _MOST, out=self.off)

    def noise(self) -> float:
        """The median difference, of some of the cells."""
        some = self.off.reshape(-1)[::_NOISE_STRIDE]
        return float(np.partition(some, len(some) // 2)[len(some) // 2])

    def above(self, least: float) -> Bool:
        """Where a cell differs by more than `least`, and than it mostly does."""
        hot: Bool = self.off > np.float32(least)
        if hot.any():  # seldom at rest, and the rest of it costs as much again
            np.multiply(self.busy, np.float32(_BUSY), out=self._limit)
            hot &= self.off > self._limit
            if self._counts is not None:
                hot &= self._counts
        return hot

    def learn(self, share: float, busy_share: float) -> None:
        """The picture that was compared becomes a part of the scene."""
        cv2.accumulateWeighted(self._now, self.scene, share)
        cv2.accumulateWeighted(self._now_around, self.around, share)
        cv2.accumulateWeighted(self.off, self.busy, busy_share)


def _lapsed(step_s: float, over_s: float) -> float:
    """How much of a mean with this time constant is renewed in one step."""
    return 1 - math.exp(-step_s / over_s)


def _around(luma: U8) -> F32:
    """The mean of the cells around each, and a little more: never 0; at half the size, as it varies
    slowly."""
    rows, columns = luma.shape
    half = cv2.resize(luma, ((columns + 1) // 2, (rows + 1) // 2), interpolation=cv2.INTER_AREA)
    mean = np.asarray(cv2.boxFilter(half, cv2.CV_32F, (_AROUND, _AROUND)), np.float32)
    mean += np.float32(_DARK)
    return mean


def _clusters(hot: Bool) -> Bool:
    """Where enough cells around one are hot."""
    count = cv2.boxFilter(hot.view(np.uint8), -1, (3, 3), normalize=False)
    return np.asarray(count) >= _CLUSTER


def _mask(shape: tuple[int, ...], regions: Sequence[Region]) -> Bool:
    """Where changes count: outside of the regions."""
    counts = np.ones(shape, np.uint8)
    size = np.array([shape[1], shape[0]])
    for region in regions:
        corners = np.rint(np.array(region) * size).astype(np.int32)
        cv2.fillPoly(counts, [corners], 0)
    return counts > 0
