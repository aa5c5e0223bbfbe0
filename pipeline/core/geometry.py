"""Plane geometry in picture coordinates: x to the right, y down, pixels."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.core.arrays import F32, F64


@dataclass(frozen=True, slots=True)
class Line:
    """A directed segment from `start` to `end`, or a polyline over the points `via`, in pixels.

    Looking from start to end, `in` is a crossing from the left side to the right side as seen
    on the picture (y down): for a line drawn left to right, upwards side to downwards side.
    """

    name: str
    start: tuple[float, float]
    end: tuple[float, float]
    via: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        points = self.points
        for one, other in pairwise(points):
            if one == other and self.via:
                raise ValueError(f"line {self.name!r}: the point {one} is there twice in a row")
            if one == other:
                raise ValueError(f"line {self.name!r}: start and end are both {self.start}")

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The points from start to end, 2 or more."""
        return (self.start, *self.via, self.end)


def bottom_centre(xyxy: F32) -> F64:
    """The (N, 2) float64 points of (N, 4) boxes where the objects touch the ground."""
    return np.stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]], axis=1).astype(np.float64)
