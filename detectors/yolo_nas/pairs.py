"""Pairs of boxes that lie near each other, without a look at all the others.

In a crowd hundreds of boxes stand beside thousands that may speak for them; few of these pairs
touch.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.yolo_nas.operators import run, single
from pipeline.core.arrays import F32, I64
from pipeline.core.rows import numbers

FEW_PAIRS: Final = 4096
"""Up to so many, a look at each is as fast as a search, and takes no lock of Python's."""


def near(boxes: F32, share: float, others: F32) -> tuple[I64, I64]:
    """(row, column) of all pairs of one of `boxes` (K, 4) and one of `others` (N, 4) whose middles
    are apart by less than `share` of the box's length along x and along y. By rising row.

    Takes (N + K) log N and the number of pairs that are near along x, or where all pairs are few, a
    look at each. Any thread.
    """
    if len(boxes) * len(others) <= FEW_PAIRS:
        feed = {"boxes": boxes, "others": others, "twice_share": single(2 * share)}
        row, column = run("near", ["row", "column"], feed)
        return row, column
    return near_along_x(boxes, share, others)


def near_along_x(boxes: F32, share: float, others: F32) -> tuple[I64, I64]:
    """`near`, by a search in the order along x; columns of a row come in that order."""
    mine, theirs = np.ascontiguousarray(boxes.T), np.ascontiguousarray(others.T)
    reach_x, reach_y = (mine[2:] - mine[:2]) * np.float32(2 * share)
    middle_x, middle_y = mine[:2] + mine[2:]  # doubled, as the reach is
    x, y = theirs[:2] + theirs[2:]
    order = x.argsort()
    x, y = x[order], y[order]
    first = x.searchsorted(middle_x - reach_x, "right")
    count = np.maximum(x.searchsorted(middle_x + reach_x, "left") - first, 0)
    row = numbers(len(boxes)).repeat(count)
    place = numbers(len(row)) + (first - count.cumsum() + count).repeat(count)
    apart_y = y[place]
    apart_y -= middle_y.repeat(count)
    is_near = (np.abs(apart_y, out=apart_y) < reach_y.repeat(count)).nonzero()[0]
    return row[is_near], order[place[is_near]]
