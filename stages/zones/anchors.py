"""The point of a box that stands for its object."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from pipeline.core.arrays import F64

Anchor = Literal[
    "bottom_centre", "centre", "top_centre", "left_centre", "right_centre",
    "bottom_left", "bottom_right", "top_left", "top_right",
]  # fmt: skip

SHARES: Final[dict[Anchor, tuple[float, float]]] = {
    "bottom_centre": (0.5, 1.0),
    "centre": (0.5, 0.5),
    "top_centre": (0.5, 0.0),
    "left_centre": (0.0, 0.5),
    "right_centre": (1.0, 0.5),
    "bottom_left": (0.0, 1.0),
    "bottom_right": (1.0, 1.0),
    "top_left": (0.0, 0.0),
    "top_right": (1.0, 0.0),
}
"""The place of each anchor, as shares of the box's width from the left and of its height from the
top."""


class Anchors:
    """The points of boxes for several anchors at once: `rows` (N,) is the row of each of the N
    `names` in what `points` gives, so that rules with the same anchor share a row."""

    def __init__(self, names: Sequence[Anchor]) -> None:
        self.names: tuple[Anchor, ...] = tuple(dict.fromkeys(names)) or ("bottom_centre",)
        self.rows = np.array([self.names.index(name) for name in names], np.int64)
        shares = np.array([SHARES[name] for name in self.names])
        self._right, self._bottom = shares[:, :1], shares[:, 1:]
        self._left, self._top = 1 - self._right, 1 - self._bottom

    def points(self, xyxy: F64) -> F64:
        """The anchors of (T, 4) boxes: (2, A, T) x and y in pixels."""
        left, top, right, bottom = xyxy.T
        # a weighted mean, exact at both ends
        points = np.empty((2, len(self.names), len(xyxy)))
        np.add(left * self._left, right * self._right, out=points[0])
        np.add(top * self._top, bottom * self._bottom, out=points[1])
        return points
