"""One small grey picture laid over another: the two ways of `stages.camera_motion`.

Coordinates are of pixel centres: the first pixel's centre is at 0.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pipeline.core.arrays import F32, F64, U8, Bool

_MOST_CORNERS = 150
_CORNER_QUALITY = 0.01
_CORNER_APART_PX = 5
_LEAST_CORNERS = 12
_WINDOW_PX = (11, 11)
_PYRAMID_LEVELS = 4
_LUCAS_KANADE_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.02)
_AGREE_PX = 0.7
_LEAST_SPREAD = 0.08

_ECC_LONGEST_PX = 144
_ECC_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 25, 3e-4)
_ECC_BLUR_PX = 5
_LEAST_FREE = 0.05


@dataclass(frozen=True, slots=True)
class Alignment:
    """`affine` (2, 3) float64 takes pixels of the one picture to those of the other; `share` in
    [0, 1] is how much of them agrees, and `spread` whether that is not just one corner of them."""

    affine: F64
    share: float
    spread: bool


def affine_by_flow(before: U8, now: U8, free_before: U8, free_now: U8) -> Alignment | None:
    """Shift, turn and zoom by corners in what is `free` (255) of both pictures (H, W). None: too
    few corners, or none could be followed. The same pictures give the same answer."""
    corners = _corners(before, free_before)
    if len(corners) < _LEAST_CORNERS:
        return None
    moved, followed, _ = cv2.calcOpticalFlowPyrLK(
        before, now, corners, corners.copy(),
        winSize=_WINDOW_PX, maxLevel=_PYRAMID_LEVELS, criteria=_LUCAS_KANADE_STOP,
    )  # fmt: skip
    start, end = corners, np.asarray(moved, np.float32)
    good = (np.asarray(followed).reshape(-1) == 1) & _is_free(end, free_now)
    if np.count_nonzero(good) < _LEAST_CORNERS:
        return None
    affine, agree = cv2.estimateAffinePartial2D(
        start[good], end[good], method=cv2.RANSAC, ransacReprojThreshold=_AGREE_PX, maxIters=500
    )
    if affine is None or not np.isfinite(affine).all():
        return None
    inliers = np.asarray(agree).reshape(-1) == 1
    share = np.count_nonzero(inliers) / len(inliers)
    spread = start[good][inliers].std(axis=0) if inliers.any() else np.zeros(2)
    wide = bool((spread > _LEAST_SPREAD * np.array(before.shape[::-1])).all())
    return Alignment(np.asarray(affine, np.float64), share, wide)


def _corners(grey: U8, free: U8) -> F32:
    """(N, 2) float32 where there is something to follow, found in half the size: they need not be
    exact, for the flow is measured around wherever they are."""
    rows, columns = grey.shape
    size = max(1, columns // 2), max(1, rows // 2)
    found: Any = cv2.goodFeaturesToTrack(
        _shrunk(grey, size),
        _MOST_CORNERS,
        _CORNER_QUALITY,
        _CORNER_APART_PX,
        mask=cv2.resize(free, size, interpolation=cv2.INTER_NEAREST),
    )
    if found is None:
        return np.empty((0, 2), np.float32)
    scale = np.array([columns / size[0], rows / size[1]], np.float32)
    return np.asarray((found.reshape(-1, 2) + 0.5) * scale - 0.5, np.float32)


def affine_by_correlation(before: U8, now: U8, free_before: U8, free_now: U8) -> Alignment | None:
    """The affine by which the pictures (H, W) correlate best in what is `free` (255) of both,
    beginning at the shift of their phases. None: they do not."""
    rows, columns = before.shape
    shrink = min(1.0, _ECC_LONGEST_PX / max(rows, columns))
    size = max(1, round(columns * shrink)), max(1, round(rows * shrink))
    one, other = (np.asarray(_shrunk(grey, size), np.float32) for grey in (before, now))
    mask = _shrunk(np.minimum(free_before, free_now), size) // 255
    if mask.mean() < _LEAST_FREE:
        return None
    window = cv2.createHanningWindow(size, cv2.CV_32F)
    level = np.float32(one[mask > 0].mean())  # or the mask's own edges would be what correlates
    (shift_x, shift_y), _ = cv2.phaseCorrelate((one - level) * mask, (other - level) * mask, window)
    begin = np.array([[1, 0, shift_x], [0, 1, shift_y]], np.float32)
    try:
        share, affine = cv2.findTransformECC(
            one, other, begin, cv2.MOTION_AFFINE, _ECC_STOP, mask, _ECC_BLUR_PX
        )
    except cv2.error:  # it says so where the pictures do not correlate
        return None
    if not np.isfinite(affine).all():
        return None
    return Alignment(_enlarged(np.asarray(affine, np.float64), before.shape, size), share, True)


def _shrunk(grey: U8, size: tuple[int, int]) -> U8:
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _enlarged(affine: F64, shape: tuple[int, ...], size: tuple[int, int]) -> F64:
    """An affine of pictures of `size` (columns, rows) for those of `shape` (rows, columns)."""
    scale = np.array([shape[1] / size[0], shape[0] / size[1]])
    offset = (scale - 1) / 2
    linear = affine[:, :2] * scale[:, None] / scale[None, :]
    shift = scale * affine[:, 2] + offset - linear @ offset
    return np.column_stack([linear, shift])


def _is_free(points: F32, free: U8) -> Bool:
    """(N,) whether points (N, 2) are inside of the picture (H, W) and on what is free of it."""
    rows, columns = free.shape
    x, y = np.nan_to_num(points, nan=-1.0, posinf=-1.0, neginf=-1.0).T
    inside = (x > -0.5) & (y > -0.5) & (x < columns - 0.5) & (y < rows - 0.5)
    column, row = (np.rint(np.where(inside, one, 0)).astype(np.int64) for one in (x, y))
    return np.asarray(inside & (free[row, column] > 0), np.bool_)
