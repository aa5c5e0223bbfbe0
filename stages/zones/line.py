"""Counting what crosses a line."""

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.core.arrays import F32, F64
from pipeline.core.geometry import Line, bottom_centre, side_of
from pipeline.core.tracks import Tracks

Direction = Literal["in", "out"]
Anchor = Literal["bottom_centre", "centre"]

_ENDPOINT_SLACK = 1e-9  # of the line's length: rounding must not decide whether an end is on it


@dataclass(frozen=True, slots=True)
class Crossing:
    """One track crossed the line.

    `point` (x, y) in pixels and `crossed_ns` are where and when its anchor met the line,
    interpolated between two frames. `direction` is that of `pipeline.core.geometry.Line`.
    """

    line: Line
    track_id: int
    class_id: int
    direction: Direction
    point: tuple[float, float]
    crossed_ns: int


@dataclass(slots=True)
class _Walk:
    """One track's way: where it was last, the side it was counted on, its last change of sides if
    that met the segment, and for how many frames in a row it has left the line behind it."""

    x: float
    y: float
    distance_px: float
    time_ns: int
    home: int
    pending: tuple[float, float, int] | None = None
    frames_beyond: int = 0


class LineCounter:
    """Counts tracks over one line of one stream; one object per line.

    A crossing counts when the way of the anchor, straight from its last to its new position, meets
    the segment itself, both ends included, and the track is then found at least `hysteresis_px`
    away on the other side in `confirm_frames` of its frames in a row: with 2 or more, a single bad
    box of a detector is no crossing. Trembling around the line counts at most once, walking around
    its ends never.
    An anchor exactly on the line is on its right side. Boxes that are only predicted are ignored.
    """

    def __init__(
        self,
        line: Line,
        anchor: Anchor = "bottom_centre",
        hysteresis_px: float = 5.0,
        confirm_frames: int = 1,
    ) -> None:
        if not 0 <= hysteresis_px < math.inf:
            raise ValueError(f"line {line.name!r}: hysteresis_px {hysteresis_px} is not >= 0")
        if confirm_frames < 1:
            raise ValueError(f"line {line.name!r}: confirm_frames {confirm_frames} is not >= 1")
        if anchor not in ("bottom_centre", "centre"):
            raise ValueError(f"line {line.name!r}: anchor {anchor!r} is not known")
        self.line = line
        self._anchor = bottom_centre if anchor == "bottom_centre" else _centre
        self._hysteresis_px = hysteresis_px
        self._confirm_frames = confirm_frames
        self._direction = np.subtract(line.end, line.start)
        self._length_px = float(np.hypot(*self._direction))
        self._walks: dict[int, _Walk] = {}
        self._counts: defaultdict[int, dict[Direction, int]] = defaultdict(_no_counts)

    @property
    def counts(self) -> dict[Direction, int]:
        """Crossings of all classes since the counter was made."""
        total = _no_counts()
        for counts in self._counts.values():
            total["in"] += counts["in"]
            total["out"] += counts["out"]
        return total

    @property
    def counts_by_class(self) -> dict[int, dict[Direction, int]]:
        """Crossings by class id; a class that never crossed is absent."""
        return {class_id: dict(counts) for class_id, counts in self._counts.items()}

    def update(self, tracks: Tracks, time_ns: int) -> list[Crossing]:
        """Tracks of the next frame, taken at `time_ns` -> crossings that count with this frame."""
        points = self._anchor(tracks.xyxy)
        distances_px = side_of(self.line, points) / self._length_px
        crossings = []
        for row in np.flatnonzero(tracks.detection_index >= 0).tolist():
            track_id = int(tracks.track_id[row])
            x, y = points[row].tolist()
            pending = self._step(track_id, x, y, float(distances_px[row]), time_ns)
            if pending:
                class_id = int(tracks.class_id[row])
                crossings.append(self._count(track_id, class_id, pending))
        for track_id in tracks.ended.tolist():
            self._walks.pop(track_id, None)
        return crossings

    def reset(self) -> None:
        """Forget where tracks were, at a gap. Counts stay."""
        self._walks.clear()

    def _step(
        self, track_id: int, x: float, y: float, distance_px: float, time_ns: int
    ) -> tuple[float, float, int] | None:
        """Move one track on; gives its crossing once that counts, as (x, y, time_ns)."""
        side = _side(distance_px)
        walk = self._walks.get(track_id)
        if walk is None:
            self._walks[track_id] = _Walk(x, y, distance_px, time_ns, home=side)
            return None
        if side != _side(walk.distance_px):
            walk.pending = self._meet(walk, x, y, distance_px, time_ns)
        walk.x, walk.y, walk.distance_px, walk.time_ns = x, y, distance_px, time_ns
        beyond = side != walk.home and abs(distance_px) >= self._hysteresis_px
        walk.frames_beyond = walk.frames_beyond + 1 if beyond else 0
        if walk.frames_beyond < self._confirm_frames:
            return None
        walk.home, walk.frames_beyond = side, 0
        return walk.pending

    def _meet(
        self, walk: _Walk, x: float, y: float, distance_px: float, time_ns: int
    ) -> tuple[float, float, int] | None:
        """Where and when the way to (x, y) meets the segment; None if it passes beside it."""
        share = walk.distance_px / (walk.distance_px - distance_px)
        met = np.array([walk.x + share * (x - walk.x), walk.y + share * (y - walk.y)])
        along = float((met - self.line.start) @ self._direction) / self._length_px**2
        if not -_ENDPOINT_SLACK <= along <= 1 + _ENDPOINT_SLACK:
            return None
        met_ns = walk.time_ns + round(share * (time_ns - walk.time_ns))
        return float(met[0]), float(met[1]), met_ns

    def _count(self, track_id: int, class_id: int, crossing: tuple[float, float, int]) -> Crossing:
        x, y, crossed_ns = crossing
        direction: Direction = "in" if self._walks[track_id].home > 0 else "out"
        self._counts[class_id][direction] += 1
        return Crossing(self.line, track_id, class_id, direction, (x, y), crossed_ns)


def _no_counts() -> dict[Direction, int]:
    return {"in": 0, "out": 0}


def _side(distance_px: float) -> int:
    return 1 if distance_px >= 0 else -1


def _centre(xyxy: F32) -> F64:
    """(N, 4) boxes -> (N, 2) float64 centres."""
    return ((xyxy[:, :2].astype(np.float64) + xyxy[:, 2:]) / 2).astype(np.float64)
