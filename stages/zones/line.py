"""Counting what crosses lines: all lines of a stream at once, and one alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from pipeline.core.arrays import F64, I64, Bool
from pipeline.core.geometry import Line
from pipeline.core.tracks import Tracks
from stages.zones.anchors import SHARES, Anchor, Anchors
from stages.zones.polyline import Met, Polylines
from stages.zones.sight import Columns, Sight, pairs
from stages.zones.streaks import Key, Streaks

Direction = Literal["in", "out"]

_EDGE_SHARE: Final = 0.01
"""The share of the picture's size within which a box at its edge has left through it."""


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


@dataclass(frozen=True, slots=True)
class LineSpec:
    """The rule by which one line counts.

    A crossing counts when the way of the anchor, straight from its last to its new position, meets
    a segment of the line, both ends included, and the track is then found at least `hysteresis_px`
    away on the other side in `confirm_frames` of its frames in a row: with 2 or more, a single bad
    box of a detector is no crossing. Trembling around the line counts at most once, walking around
    its ends never.
    An anchor exactly on the line is on its right side. Boxes that are only predicted are ignored.
    """

    line: Line
    anchor: Anchor = "bottom_centre"
    hysteresis_px: float = 5.0
    confirm_frames: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.hysteresis_px < math.inf:
            raise ValueError(
                f"line {self.line.name!r}: hysteresis_px {self.hysteresis_px} is not >= 0"
            )
        if self.confirm_frames < 1:
            raise ValueError(
                f"line {self.line.name!r}: confirm_frames {self.confirm_frames} is not >= 1"
            )
        if self.anchor not in SHARES:
            raise ValueError(f"line {self.line.name!r}: anchor {self.anchor!r} is not known")


class LineTotals:
    """The counts of what has crossed a line since this was made."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._counts: dict[Direction, int] = {"in": 0, "out": 0}

    @property
    def counts(self) -> dict[Direction, int]:
        """Crossings of all classes."""
        return self._counts.copy()

    def add(self, crossing: Crossing) -> None:
        """Count one more crossing."""
        self._counts[crossing.direction] += 1


class Lines:
    """The lines of one stream: where every track was last, on which side of each line it was
    counted, and its last change of sides where that met the line.

    Beyond a line near the edge of a picture of `size` (width, height) there is little room. So the
    hysteresis is at most half of it, and a track that leaves the picture right behind the line is
    counted at its end, however few of its frames have confirmed it.
    """

    def __init__(
        self, specs: Sequence[LineSpec], columns: Columns, rows: Sequence[int],
        size: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        self._specs, self._columns, self._rows = specs, columns, np.array(rows, np.int64)
        self._lines = Polylines([spec.line for spec in specs])
        self._size = size
        self._room = self._hysteresis()  # (2, L): on the left, on the right
        self._on_right = columns.table(len(specs), False, np.bool_)
        self._counted_right = columns.table(len(specs), False, np.bool_)
        self._pending: dict[Key, tuple[float, float, int]] = {}
        self._streaks = Streaks(columns)
        """Where tracks are beyond a line and do not count yet."""

    def update(self, sight: Sight) -> list[tuple[int, Crossing]]:
        """The next frame -> crossings that count with it, each with the place of its line."""
        seen = sight.columns
        if not len(self._specs) or not len(seen):
            return []
        x, y = sight.points[:, self._rows]
        distance = self._lines.distances_px(x, y)
        right = distance >= 0
        changed = right != self._on_right.of(seen)
        changed[:, sight.fresh] = False
        self._meet(sight, changed)
        self._on_right.put(seen, right)
        counted = self._counted_right.of(seen)
        counted[:, sight.fresh] = right[:, sight.fresh]
        self._counted_right.put(seen, counted)
        places, at = pairs(right != counted)
        if not len(places):
            return []
        now_right = right[places, at]
        beyond = np.abs(distance[places, at]) >= self._room[now_right.astype(np.int64), places]
        return self._count(sight, places[beyond], at[beyond], now_right[beyond])

    def end(self, columns: Sequence[int]) -> list[tuple[int, Crossing]]:
        """Tracks that are over -> crossings that count at their end."""
        if not columns:
            return []
        told = []
        for place, column in [key for key in self._pending if key[1] in set(columns)]:
            if self._streaks.of((place, column)) and self._left_the_picture(column):
                class_id = int(self._columns.class_id.now[column])
                to_right = not self._counted_right.now[place, column]
                told.append((place, self._crossing(place, column, class_id, to_right)))
            del self._pending[place, column]
        self._streaks.forget(set(columns))
        return told

    def reset(self) -> None:
        """Forget where tracks were; the columns of all have been freed."""
        self._pending.clear()
        self._streaks.clear()

    def _hysteresis(self) -> F64:
        wanted = np.array([spec.hysteresis_px for spec in self._specs], np.float64)
        both = np.stack([wanted, wanted])
        if self._size is None or not len(self._specs):
            return both
        width, height = self._size
        corners = np.array([[0, width, 0, width], [0, 0, height, height]], np.float64)
        far = self._lines.distances_px(corners[:1], corners[1:])
        room = np.stack([-far.min(axis=1), far.max(axis=1)])
        return np.asarray(np.minimum(both, np.maximum(room, 0) / 2), np.float64)

    def _meet(self, sight: Sight, changed: Bool) -> None:
        """Note where those that changed sides met the line, or that they passed beside it."""
        places, at = pairs(changed)
        if not len(places):
            return
        columns, rows = sight.columns[at], self._rows[places]
        starts = self._columns.points_of(rows, columns).T.tolist()
        ends = sight.at(rows, at).T.tolist()
        for place, column, start, end in zip(
            places.tolist(), columns.tolist(), starts, ends, strict=True
        ):
            met = self._lines.meet(place, start, end)
            if met is None:
                self._pending.pop((place, column), None)
                continue
            self._pending[place, column] = _when(
                met, int(self._columns.seen_ns.now[column]), sight.now_ns
            )

    def _count(self, sight: Sight, places: I64, at: I64, right: Bool) -> list[tuple[int, Crossing]]:
        """(P,) pairs of a line and a track far enough beyond it, and whether that is on its right
        -> crossings that count with this frame, line by line."""
        told = []
        columns = sight.columns[at]
        for k, key in enumerate(zip(places.tolist(), columns.tolist(), strict=True)):
            if self._streaks.longer(key, sight.now_ns) < self._specs[key[0]].confirm_frames:
                continue
            self._streaks.end(key)
            to_right = self._counted_right.now[key] = bool(right[k])
            if key in self._pending:
                crossing = self._crossing(*key, int(sight.class_id[at[k]]), to_right)
                told.append((key[0], crossing))
                del self._pending[key]
        return sorted(told, key=lambda one: one[0])

    def _crossing(self, place: int, column: int, class_id: int, to_right: bool) -> Crossing:
        x, y, crossed_ns = self._pending[place, column]
        track_id = int(self._columns.track_id.now[column])
        way: Direction = "in" if to_right else "out"
        return Crossing(self._specs[place].line, track_id, class_id, way, (x, y), crossed_ns)

    def _left_the_picture(self, column: int) -> bool:
        if self._size is None:
            return False
        width, height = self._size
        left, top, right, bottom = self._columns.xyxy.now[:, column].tolist()
        near_x, near_y = _EDGE_SHARE * width, _EDGE_SHARE * height
        return bool(
            left <= near_x or right >= width - near_x or top <= near_y or bottom >= height - near_y
        )


class LineCounter(LineTotals):
    """Counts tracks over one line of one stream, by the rules of `LineSpec`."""

    def __init__(
        self,
        line: Line,
        anchor: Anchor = "bottom_centre",
        hysteresis_px: float = 5.0,
        confirm_frames: int = 1,
    ) -> None:
        super().__init__(line)
        spec = LineSpec(line, anchor, hysteresis_px, confirm_frames)
        self._columns = Columns(Anchors([anchor]))
        self._lines = Lines([spec], self._columns, [0])

    def update(self, tracks: Tracks, time_ns: int) -> list[Crossing]:
        """Tracks of the next frame, taken at `time_ns` -> crossings that count with this frame."""
        sight, xyxy = self._columns.see(tracks, time_ns)
        crossings = [crossing for _, crossing in self._lines.update(sight)]
        self._columns.remember(sight, xyxy)
        over = self._columns.columns_of(tracks.ended.tolist())
        crossings += [crossing for _, crossing in self._lines.end(over)]
        self._columns.free(over)
        for crossing in crossings:
            self.add(crossing)
        return crossings

    def reset(self) -> None:
        """Forget where tracks were, at a gap. Counts stay."""
        self._columns.free(self._columns.live)
        self._lines.reset()


def _when(met: Met, before_ns: int, now_ns: int) -> tuple[float, float, int]:
    return met.x, met.y, before_ns + round(met.share * (now_ns - before_ns))
