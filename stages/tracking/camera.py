"""The camera's motion, told from the boxes themselves.

Where most tracks are off their expected place in the same way, the camera moved. It needs no
picture. Small and steady motion is left to the filter of each track.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import F32, F64, I64
from pipeline.core.rows import numbers, pick
from stages.tracking.assignment import overlaps
from stages.tracking.motion import to_centre, warped

C128 = NDArray[np.complex128]

LEAST_PAIRS = 4
PAIRS_TO_TURN = 8  # from here on also scale and roll are told, not only a shift
_MEET_IOU = 0.2
_PAIRED_SHARE = 0.5
_BETTER_IOU = 0.05  # mean gain in overlap from which on a motion is believed
_STILL = 0.03  # of an object's size: a smaller offset of half of them is noise
_LOOK_FARTHER_SHARE = 0.6
_TOLERANCE = 0.06  # of an object's size: what people do on their own from frame to frame
_FARTHEST = (3.0, 1.5)  # heights by which everything may be displaced, across and along
_SAME_HEIGHT = 0.25  # in log
_ROUNDS = 3
_MOST_CELLS = 4_000_000  # 32 MB of votes; thin boxes far apart would need any number


def camera_motion(expected: F32, seen: F32, overlap: F32 | None = None) -> F64 | None:
    """Boxes (K, 4) where tracks are expected, and (N, 4) detected ones -> (2, 3) affine that takes
    the first to the second, or None where it is not clear that the camera moved at all. `overlap`
    (K, N) is their IoU, if it is known."""
    if min(len(expected), len(seen)) < LEAST_PAIRS:
        return None
    before = overlaps(expected, seen)[0] if overlap is None else overlap
    overlapping, least_gain = np.maximum.reduce(before, axis=1), _BETTER_IOU * min(before.shape)
    if len(before) - float(overlapping.sum()) < least_gain:
        return None  # no motion could make that much better
    rows, cols = _mutual(before, overlapping)
    if len(rows) < _LOOK_FARTHER_SHARE * min(before.shape):
        rows, cols = _farther(expected, seen, rows, cols)
    if len(rows) < max(LEAST_PAIRS, _PAIRED_SHARE * min(before.shape)):
        return None
    both = to_centre(np.concatenate([pick(expected, rows), pick(seen, cols)]))
    was, now = _points(both).reshape(2, -1)
    size, offset = (both[: len(rows), 2] + both[: len(rows), 3]) * 0.5, now - was
    moved = np.abs(offset) / size
    moved.sort()
    if moved[len(rows) // 2] < _STILL:
        return None
    affine = _similarity(was, offset, size)
    wrong = np.abs(_points(to_centre(warped(affine, expected[rows]))) - now) / size
    if np.count_nonzero(wrong < 2 * _TOLERANCE) < _PAIRED_SHARE * len(rows):
        return None
    after = overlaps(warped(affine, expected), seen)[0]
    gain = float((after.max(axis=1) - overlapping).sum())
    return affine if gain >= least_gain else None


def _mutual(iou: F32, most: F32) -> tuple[I64, I64]:
    """Pairs that are each other's best, of overlaps (T, N) whose largest in each row are `most`."""
    best = iou.argmax(axis=1)
    rows = numbers(len(iou))
    kept = ((iou.argmax(axis=0)[best] == rows) & (most > _MEET_IOU)).nonzero()[0]
    return kept, best[kept]


def _farther(expected: F32, seen: F32, rows: I64, cols: I64) -> tuple[I64, I64]:
    """Pairs at the displacement that most tracks agree on, where these are more than the given."""
    shift = _common_shift(to_centre(expected), to_centre(seen))
    if shift is None:
        return rows, cols
    moved = expected + np.tile(shift, 2).astype(np.float32)
    iou = overlaps(moved, seen)[0]
    other = _mutual(iou, iou.max(axis=1))
    return other if len(other[0]) > len(rows) else (rows, cols)


def _common_shift(expected: F64, seen: F64) -> F64 | None:
    """(2,) px: the displacement at which most tracks meet a detection of their height, by votes in
    cells of half a width."""
    width, height = np.median(expected[:, 2:], axis=0)
    apart = seen[None, :, :2] - expected[:, None, :2]
    near = (np.abs(apart) < np.multiply(_FARTHEST, height)).all(axis=2)
    near &= np.abs(np.log(seen[None, :, 3] / expected[:, None, 3])) < _SAME_HEIGHT
    track, _ = np.nonzero(near)
    if len(track) < LEAST_PAIRS:
        return None
    votes = apart[near]
    side = max(0.5 * width, 0.05 * height)  # else boxes without width have no end of cells
    cell = np.floor(votes / side).astype(np.int64)
    cell -= cell.min(axis=0)
    across, along = (int(most) + 3 for most in cell.max(axis=0))
    if across * along > _MOST_CELLS:
        return None
    ballot = np.zeros((across, along))
    once = np.unique(np.column_stack([track, cell]), axis=0)
    np.add.at(ballot, (once[:, 1] + 1, once[:, 2] + 1), 1)
    four = ballot[:-1, :-1] + ballot[1:, :-1] + ballot[:-1, 1:] + ballot[1:, 1:]
    won = np.array(np.unravel_index(int(four.argmax()), four.shape))
    agreed = ((cell + 1 >= won) & (cell <= won)).all(axis=1)
    shift: F64 = np.median(votes[agreed], axis=0)
    return shift


def _similarity(at: C128, offset: C128, size: F64) -> F64:
    """Robust similarity that moves points (K,) by about `offset` (K,), as (2, 3) affine, by
    iteratively reweighted least squares with Cauchy weights; a mere shift where there are few
    pairs. Points are complex numbers x + iy, so that one factor both scales and turns."""
    middle = at.mean()
    x, shift, factor = at - middle, _middle(offset), 0j
    if len(at) >= PAIRS_TO_TURN:
        stiff = (0.5 * float(np.median(size))) ** 2  # who stand at one place tell no scale
        for _ in range(_ROUNDS):
            wrong = np.abs(offset - shift - factor * x) / (_TOLERANCE * size)
            weight = 1 / (1 + wrong * wrong)
            weight /= weight.sum()
            mean_x, mean_offset = weight @ x, weight @ offset
            u, v = x - mean_x, offset - mean_offset
            along = weight * u.conj()
            factor = complex((along @ v) / ((along @ u).real + stiff))
            shift = complex(mean_offset - factor * mean_x)
    linear = 1 + factor
    rest = complex(shift + middle - linear * middle)
    return np.array([[linear.real, -linear.imag, rest.real], [linear.imag, linear.real, rest.imag]])


def _points(centre: F64) -> C128:
    """(K, 4) centre x, y, width, height -> (K,) x + iy."""
    return centre.view(np.complex128)[:, 0]


def _middle(points: C128) -> complex:
    """Median of x and of y, the higher of two."""
    half = len(points) // 2
    return complex(np.sort(points.real)[half], np.sort(points.imag)[half])
