"""Pairs of boxes that lie near each other, without a look at all the others.

In a crowd hundreds of boxes stand beside thousands that may speak for them; few of these pairs
touch.
"""

from __future__ import annotations

import numpy as np

from pipeline.core.arrays import F32, I64


def near(boxes: F32, share: float, others: F32) -> tuple[I64, I64]:
    """(row, column) of all pairs of one of `boxes` (K, 4) and one of `others` (N, 4) whose middles
    are apart by less than `share` of the box's length along x and along y. By rising row.

    Takes (N + K) log N and the number of pairs that are near along x.
    """
    reach_x, reach_y = ((boxes[:, 2:] - boxes[:, :2]) * np.float32(2 * share)).T
    middle_x, middle_y = (boxes[:, :2] + boxes[:, 2:]).T  # doubled, as the reach is
    x, y = (others[:, :2] + others[:, 2:]).T
    order = x.argsort()
    x = x[order]
    first = x.searchsorted(middle_x - reach_x, "right")
    count = np.maximum(x.searchsorted(middle_x + reach_x, "left") - first, 0)
    row = np.arange(len(boxes)).repeat(count)
    place = np.arange(len(row)) + (first - count.cumsum() + count).repeat(count)
    column = order[place]
    is_near = (np.abs(y[column] - middle_y[row]) < reach_y[row]).nonzero()[0]
    return row[is_near], column[is_near]
