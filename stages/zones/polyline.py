"""Directed lines, many at once: on which side points are, and where ways meet them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.core.arrays import F64
from pipeline.core.geometry import Line

_SLACK: Final = 1e-9
"""The share of a segment's length that it is longer: rounding must not decide whether its end is on
it."""


@dataclass(frozen=True, slots=True)
class Met:
    """The meeting of a way and a line: the point, and the share of the way until there."""

    x: float
    y: float
    share: float


class Polylines:
    """L directed lines of one segment or more.

    Beyond both ends a line is thought to go straight on, so that every point has a side, but only
    its segments can be met. A line whose end is its start has an inside and an outside.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        most = max((len(line.points) - 1 for line in lines), default=1)
        shape = (len(lines), most)
        self._starts, self._along = np.zeros((*shape, 2)), np.ones((*shape, 2))
        self._last = np.array([len(line.points) - 2 for line in lines], np.int64)
        self._used = np.zeros(shape, np.bool_)
        for place, line in enumerate(lines):
            points = np.array(line.points, np.float64)
            count = len(points) - 1
            self._starts[place, :count] = points[:-1]
            self._along[place, :count] = np.diff(points, axis=0)
            self._used[place, :count] = True
        self._lengths2 = np.sum(self._along**2, axis=2)
        self._lengths = np.hypot(self._along[..., 0], self._along[..., 1])
        self._low, self._high = np.zeros(shape), np.ones(shape)
        for place, line in enumerate(lines):
            if line.start != line.end:
                self._low[place, 0] = -np.inf
                self._high[place, self._last[place]] = np.inf
        bent = self._bent = np.flatnonzero(self._last > 0)
        self._bends = tuple(
            part[bent].swapaxes(0, 1)[..., None]
            for part in (
                self._starts, self._along, self._lengths2, self._lengths, self._low, self._high
            )
        )  # fmt: skip
        """Columns of the lines of more than one segment: (S, B, ..., 1) each."""

    def distances_px(self, x: F64, y: F64) -> F64:
        """The signed distances (L, T) of (1 or L, T) points: > 0 on the right of the line, < 0 on
        its left, in the direction of its nearest segment. The sign is that of the cross product."""
        (dx, dy), (start_x, start_y) = self._along[:, 0].T, self._starts[:, 0].T
        signed: F64 = (dx * (y.T - start_y) - dy * (x.T - start_x)) / self._lengths[:, 0]
        if len(self._bent):
            some = self._bent if len(x) > 1 else np.zeros(1, np.int64)
            signed[:, self._bent] = self._bent_distances_px(x[some], y[some]).T
        return signed.T

    def _bent_distances_px(self, x: F64, y: F64) -> F64:
        start, along, length2, length, low, high = self._bends
        off_x, off_y = x - start[:, :, 0], y - start[:, :, 1]  # (S, B, T)
        dx, dy = along[:, :, 0], along[:, :, 1]
        share = (off_x * dx + off_y * dy) / length2
        share = np.minimum(np.maximum(share, low), high)
        gap_x, gap_y = off_x - share * dx, off_y - share * dy
        apart = np.sqrt(gap_x * gap_x + gap_y * gap_y)
        across = (dx * off_y - dy * off_x) / length
        # at a corner two segments are equally near, and the one that faces the point tells its side
        rank = apart - 1e-9 * np.abs(across)
        rank[~self._used[self._bent].T] = np.inf
        nearest = np.argmin(rank, axis=0)[None]
        found = np.take_along_axis(apart, nearest, 0)[0]
        side = np.take_along_axis(across, nearest, 0)[0]
        signed: F64 = np.where(side >= 0, found, -found)
        return signed

    def meet(self, place: int, start: tuple[float, float], end: tuple[float, float]) -> Met | None:
        """Find where the straight way from `start` to `end` crosses line `place` for good: the last
        of its crossings, if their number is odd. Both ends of the line are on it."""
        if self._last[place] == 0:
            return self._meet_segment(place, 0, start, end)
        met = [
            found
            for segment in range(int(self._last[place]) + 1)
            if (found := self._meet_segment(place, segment, start, end)) is not None
        ]
        met.sort(key=lambda found: found.share)
        apart: list[Met] = []
        for found in met:  # a corner belongs to two segments
            if not apart or found.share - apart[-1].share > _SLACK:
                apart.append(found)
        return apart[-1] if len(apart) % 2 else None

    def _meet_segment(
        self, place: int, segment: int, start: tuple[float, float], end: tuple[float, float]
    ) -> Met | None:
        origin, along = self._starts[place, segment], self._along[place, segment]
        (x, y), (to_x, to_y) = start, end
        length = self._lengths[place, segment]
        before = float(along[0] * (y - origin[1]) - along[1] * (x - origin[0])) / length
        after = float(along[0] * (to_y - origin[1]) - along[1] * (to_x - origin[0])) / length
        if (before >= 0) == (after >= 0):
            return None
        share = before / (before - after)
        met = np.array([x + share * (to_x - x), y + share * (to_y - y)])
        at = float((met - origin) @ along) / float(self._lengths2[place, segment])
        if not -_SLACK <= at <= 1 + _SLACK:
            return None
        return Met(float(met[0]), float(met[1]), float(share))
