"""The assignment: which detection continues which track."""

from collections.abc import Callable

import lap
import numpy as np

from pipeline.core.arrays import F32, F64, I64, AnyArray, Bool
from pipeline.core.rows import cells, numbers

_SOME = np.float32(1e-30)
"""Not nothing, to divide by: where boxes have no area, they share none either."""
_FORBIDDEN = 3.0
"""The cost of a pair that must not be: above that of staying alone."""


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
    for width_and_height in (shared, size_a, size_b):
        width_and_height[0] *= width_and_height[1]  # from here on area and height
    either = size_a + size_b
    either -= shared
    shared /= np.maximum(either, _SOME, out=either)
    return shared[0], shared[0] * shared[1]


def match(gain: AnyArray) -> tuple[I64, I64]:
    """Pairs (row, column) of (T, N) gains in [0, 2], each row and column at most once.

    Among pairs of a gain above 0, maximises the sum.
    """
    rows, cols = (gain > 0).nonzero()
    chosen = match_pairs(rows, cols, lambda pairs: cells(gain, rows[pairs], cols[pairs]))
    return rows[chosen], cols[chosen]


def match_pairs(rows: I64, cols: I64, gain: Callable[[I64], AnyArray]) -> I64:
    """Which of P pairs (row, column) to take, so that each row and column is taken at most once and
    the sum of gains is the largest.

    Rows and columns that have only each other are paired directly, the rest by Jonker-Volgenant.
    `gain` is asked for the gains, above 0 and up to 2, of these alone.
    """
    left = disputed(rows, cols)
    if not np.count_nonzero(left):
        return numbers(len(rows))
    contested = left.nonzero()[0]
    row, row_count = _places(rows[contested])
    col, col_count = _places(cols[contested])
    cost = np.full(row_count * col_count, _FORBIDDEN)
    cost[row * col_count + col] = 2.0 - gain(contested).astype(np.float64)
    picked = _solve(cost.reshape(row_count, col_count))
    left[contested] = picked[row] != col
    return (~left).nonzero()[0]


def disputed(rows: I64, cols: I64) -> Bool:
    """(P,) which pairs have a row or a column of which there is another pair."""
    if not len(rows):
        return np.empty(0, np.bool_)
    found: Bool = (np.bincount(rows)[rows] > 1) | (np.bincount(cols)[cols] > 1)
    return found


def _places(values: I64) -> tuple[I64, int]:
    """Of each value its place among those that occur, and how many do."""
    occurs = np.zeros(int(values.max()) + 1, np.int64)
    occurs[values] = 1
    places = occurs.cumsum()
    return places[values] - 1, int(places[-1])


def _solve(cost: F64) -> I64:
    """(T, N) -> (T,) column of each row, -1 for none."""
    _, column_of_row, _ = lap.lapjv(cost, extend_cost=True, cost_limit=2.0)
    return np.asarray(column_of_row, np.int64)
