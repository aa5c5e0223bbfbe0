"""Pairs of boxes that lie near each other, without a look at all the others.

In a crowd hundreds of boxes stand beside thousands that may speak for them; few of these pairs
touch. Boxes here are in columns: (4, N) float32 left, top, right, bottom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.core.arrays import F32, I64

ROUNDING: Final = np.float32(1e-3)
"""More than what float32 loses, of pixels and in pixels."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Boxes by their sides, `sides` (4, N), with what pairs of them are asked for."""

    sides: F32
    area: F32

    @classmethod
    def of(cls, xyxy: F32) -> Columns:
        """From boxes (N, 4)."""
        sides = np.ascontiguousarray(xyxy.T)
        return cls(sides, (sides[2] - sides[0]) * (sides[3] - sides[1]))

    def take(self, index: I64) -> Columns:
        """Those boxes."""
        return Columns(self.sides.take(index, axis=1), self.area.take(index))

    def middle(self, axis: int) -> F32:
        """(N,) twice the middle along x (0) or y (1)."""
        both: F32 = self.sides[axis] + self.sides[axis + 2]
        return both

    def length(self, axis: int) -> F32:
        """(N,) along x or y."""
        found: F32 = self.sides[axis + 2] - self.sides[axis]
        return found

    def iou(self, other: Columns) -> F32:
        """(N,) of each box here with the one in its place there; empty boxes overlap nothing."""
        low, high = np.maximum(self.sides[:2], other.sides[:2]), self.sides[2:].copy()
        np.minimum(high, other.sides[2:], out=high)
        np.maximum(high - low, 0, out=high)
        shared = high[0] * high[1]
        union = self.area + other.area - shared
        ious: F32 = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        return ious


def near(boxes: Columns, share: float, others: Columns) -> tuple[I64, I64]:
    """(row, column) of all pairs of one of `boxes` (K) and one of `others` (N) whose middles are
    apart by at most `share` of the box's length along x and along y, and of few that are a bit
    further apart. By rising row.

    Takes (N + K) log N and the number of pairs that are near along x.
    """
    row, column = _near_along_x(boxes, share, others)
    middle, reach = boxes.middle(1), _reach(boxes, 1, share)
    is_near = np.abs(others.middle(1)[column] - middle[row]) <= reach[row]
    return row[is_near], column[is_near]


def _near_along_x(boxes: Columns, share: float, others: Columns) -> tuple[I64, I64]:
    middle, reach = boxes.middle(0), _reach(boxes, 0, share)
    order = np.argsort(others.middle(0))
    ordered = others.middle(0)[order]
    first = np.searchsorted(ordered, middle - reach, "left")
    count = np.searchsorted(ordered, middle + reach, "right") - first
    row = np.repeat(np.arange(len(middle)), count)
    place = np.arange(len(row)) + (first + count - np.cumsum(count))[row]
    return row, order[place]


def _reach(boxes: Columns, axis: int, share: float) -> F32:
    """Of middles that are doubled."""
    reach: F32 = np.maximum(boxes.length(axis), 0) * np.float32(2 * share)
    return reach * (1 + ROUNDING) + ROUNDING
