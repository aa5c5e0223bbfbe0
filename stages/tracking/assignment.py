"""The assignment: which detection continues which track."""

import lap
import numpy as np

from pipeline.core.arrays import F32, I64, AnyArray

_SOME = np.float32(1e-30)
"""Not nothing, to divide by: where boxes have no area, they share none either."""


def widened(xyxy: F32, share: float) -> F32:
    """Boxes (N, 4) grown on each side by `share` of their width or height."""
    margin = (xyxy[:, 2:] - xyxy[:, :2]) * np.float32(share)
    return np.concatenate([xyxy[:, :2] - margin, xyxy[:, 2:] + margin], axis=1)


def overlaps(a: F32, b: F32) -> tuple[F32, F32]:
    """Boxes (T, 4), (N, 4) of some area -> IoU (T, N), and IoU times the IoU of their heights.

    Two that hide each other differ in height, by stature and by distance, when their boxes
    overlap most (Yang et al., Hybrid-SORT, AAAI 2024).
    """
    sides_a, sides_b = a.T[:, :, None], np.ascontiguousarray(b.T)[:, None]
    shared = np.minimum(sides_a[2:], sides_b[2:]) - np.maximum(sides_a[:2], sides_b[:2])
    np.maximum(shared, 0, out=shared)
    size_a, size_b = sides_a[2:] - sides_a[:2], sides_b[2:] - sides_b[:2]
    both = shared[0] * shared[1]
    either = size_a[0] * size_a[1] + size_b[0] * size_b[1] - both
    iou = both / np.maximum(either, _SOME)
    height = size_a[1] + size_b[1] - shared[1]
    return iou, iou * (shared[1] / np.maximum(height, _SOME))


def match(gain: AnyArray) -> tuple[I64, I64]:
    """Pairs (row, column) of (T, N) gains in [0, 2], each row and column at most once.

    Among pairs of a gain above 0, maximises the sum. Rows and columns that have only each other
    are paired directly, the rest by Jonker-Volgenant.
    """
    allowed = gain > 0
    lone = allowed & (allowed.sum(axis=1, keepdims=True) == 1) & (allowed.sum(axis=0) == 1)
    contested = allowed & ~lone
    rows, cols = np.nonzero(lone)
    if not contested.any():
        return rows, cols
    some_rows = np.flatnonzero(contested.any(axis=1))
    some_cols = np.flatnonzero(contested.any(axis=0))
    corner = np.ix_(some_rows, some_cols)
    picked = _solve(np.where(contested[corner], gain[corner], -1.0))
    kept = (picked >= 0) & contested[corner][np.arange(len(picked)), picked]
    return (
        np.concatenate([rows, some_rows[kept]]),
        np.concatenate([cols, some_cols[picked[kept]]]),
    )


def _solve(gain: AnyArray) -> I64:
    """(T, N) -> (T,) column of each row, -1 for none."""
    cost = 2.0 - gain.astype(np.float64)
    _, column_of_row, _ = lap.lapjv(cost, extend_cost=True, cost_limit=2.0)
    return np.asarray(column_of_row, np.int64)
