"""Polygons: which are none, and which points are inside of many at once."""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np

from pipeline.core.arrays import F64, I64, Bool
from stages.zones.sight import pairs

Point = tuple[float, float]

_SLACK: Final = 1e-12


def why_no_polygon(points: Sequence[Point]) -> str | None:
    """The reason why a polygon is none, in plain words; None: it is one. It needs three corners or
    more, an area, and edges that touch nowhere but at the corners between neighbours."""
    if len(points) < 3:
        return f"a polygon needs 3 corners or more, not {len(points)}"
    edges = list(zip(points, [*points[1:], points[0]], strict=True))
    for number, (one, other) in enumerate(edges):
        if one == other:
            return f"corner {number + 1} and the next are the same point {_said(one)}"
    for (i, first), (j, second) in combinations(enumerate(edges), 2):
        neighbours = j - i == 1 or (i == 0 and j == len(edges) - 1)
        if neighbours and not _turns_back(first, second, wraps=j - i != 1):
            continue
        if neighbours or _touch(first, second):
            return (
                f"it crosses or touches itself: the edge {_edge(first)} and the edge "
                f"{_edge(second)}; list the corners in order around it"
            )
    return None


class Polygons:
    """Z polygons of three corners or more, in pixels. Of a point on an edge it depends on the edge
    whether it is inside, so that polygons that share one share no point."""

    def __init__(self, polygons: Sequence[Sequence[Point]]) -> None:
        most = max((len(polygon) for polygon in polygons), default=3)
        corners = np.zeros((len(polygons), most, 2))
        for place, polygon in enumerate(polygons):
            corners[place] = polygon[0]  # edges without length are never crossed
            corners[place, : len(polygon)] = polygon
        x1, y1 = corners.transpose(2, 0, 1)
        x2, y2 = np.roll(corners, -1, axis=1).transpose(2, 0, 1)
        rise = y2 - y1
        slope = np.divide(x2 - x1, rise, out=np.zeros_like(rise), where=rise != 0)
        self._edges = np.stack([x1, y1, x2 - x1, rise, y2, slope, x1 - slope * y1], axis=1)
        self._low, self._high = corners.min(axis=1).T, corners.max(axis=1).T
        area = np.abs(np.sum(x1 * y2 - x2 * y1, axis=1)) / 2
        around = np.sum(np.hypot(x2 - x1, rise), axis=1)
        self.widths_px: F64 = 2 * area / around
        """(Z,) of a long strip its width, of others less than that."""

    def contain(self, x: F64, y: F64) -> Bool:
        """Test (1 or Z, T) points -> (Z, T) bool whether they are inside: a ray to the right leaves
        the polygon an odd number of times."""
        (low_x, low_y), (high_x, high_y) = self._low, self._high
        inside: Bool = (low_x <= x.T) & (high_x >= x.T) & (low_y <= y.T) & (high_y >= y.T)
        places, at = pairs(inside.T)
        rows = places if len(x) > 1 else np.zeros_like(places)
        px, py = x[rows, at, None], y[rows, at, None]
        _, y1, _, _, y2, slope, offset = self._edges_of(places)
        met = ((py < y1) ^ (py < y2)) & (px < slope * py + offset)
        inside[at, places] = np.logical_xor.reduce(met, axis=1)
        return inside.T

    def edge_distances_px(self, places: I64, x: F64, y: F64) -> F64:
        """The (P,) distances in pixels of points from the nearest edge of their polygons (P,)."""
        x1, y1, dx, dy, *_ = self._edges_of(places)
        off_x, off_y = x[:, None] - x1, y[:, None] - y1
        length2 = dx * dx + dy * dy
        share = (off_x * dx + off_y * dy) / np.where(length2 > 0, length2, 1)
        share = np.minimum(np.maximum(share, 0), 1)
        gap_x, gap_y = off_x - share * dx, off_y - share * dy
        nearest: F64 = np.sqrt((gap_x * gap_x + gap_y * gap_y).min(axis=1))
        return nearest

    def last_met(self, places: I64, start: F64, way: F64) -> F64:
        """Follow, for (P,) polygons, (2, P) starts and straight ways from there -> (P,) the share
        of each until it last crosses an edge of its polygon; 1 where it crosses none."""
        x1, y1, dx, dy, *_ = self._edges_of(places)
        off_x, off_y = x1 - start[0, :, None], y1 - start[1, :, None]
        way_x, way_y = way[..., None]
        cross = way_x * dy - way_y * dx
        usable = np.abs(cross) > _SLACK
        safe = np.where(usable, cross, 1)
        share = (off_x * dy - off_y * dx) / safe
        at = (off_x * way_y - off_y * way_x) / safe
        hit = usable & (share >= 0) & (share <= 1) & (at >= -1e-9) & (at <= 1 + 1e-9)
        # one that ends on an edge does not cross it there, if it crosses another before
        last = np.where(hit & (share < 1 - _SLACK), share, -1).max(axis=1)
        found: F64 = np.where(last < 0, 1, last)
        return found

    def _edges_of(self, places: I64) -> tuple[F64, ...]:
        """(P,) polygons -> (P, E) each: x and y of an edge's start, the way to its end, y of its
        end, and x = slope * y + offset along it."""
        return tuple(self._edges.take(places, axis=0).transpose(1, 0, 2))


def _cross(one: Point, other: Point, third: Point) -> float:
    return (other[0] - one[0]) * (third[1] - one[1]) - (other[1] - one[1]) * (third[0] - one[0])


def _between(one: Point, other: Point, third: Point) -> bool:
    """Whether the third point, known to be in line with them, is between the two."""
    return min(one[0], other[0]) <= third[0] <= max(one[0], other[0]) and (
        min(one[1], other[1]) <= third[1] <= max(one[1], other[1])
    )


def _touch(first: tuple[Point, Point], second: tuple[Point, Point]) -> bool:
    (a, b), (c, d) = first, second
    sides = _cross(a, b, c), _cross(a, b, d), _cross(c, d, a), _cross(c, d, b)
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(
        side == 0 and _between(*end) for side, end in zip(sides, ends, strict=True)
    )  # fmt: skip


def _turns_back(first: tuple[Point, Point], second: tuple[Point, Point], *, wraps: bool) -> bool:
    """Whether of two edges with a common corner one lies on the other."""
    if wraps:
        first, second = second, first
    (a, b), (_, d) = first, second
    way = (b[0] - a[0]) * (d[0] - b[0]) + (b[1] - a[1]) * (d[1] - b[1])
    return _cross(a, b, d) == 0 and way < 0


def _said(point: Point) -> str:
    return f"[{point[0]:g}, {point[1]:g}]"


def _edge(edge: tuple[Point, Point]) -> str:
    return f"{_said(edge[0])}–{_said(edge[1])}"
