"""The presence of tracks in zones: who enters and leaves, where and when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F64, I64, Bool
from pipeline.core.messages import EndCause
from stages.zones.classes import ClassFilter
from stages.zones.polygon import Polygons
from stages.zones.rules import Size, ZoneRule, scaled
from stages.zones.sight import Columns, Sight, pairs
from stages.zones.streaks import Key, Streaks


@dataclass(frozen=True, slots=True)
class Passage:
    """The track of a column is now inside the zone, or no longer, since `at_ns`. `cause` of leaving
    it; None: it enters. `crossed`: it met the edge at `point`."""

    place: int
    column: int
    point: tuple[float, float]
    at_ns: int
    since_ns: int
    cause: EndCause | None = None
    crossed: bool = True


class Presence:
    """Z zones and the tracks in them.

    A track enters or leaves when its anchor is found on the other side of the edge, at least
    `hysteresis_px` away from it, in `confirm_frames` of its frames in a row; the time is that of
    the last crossing before. In a narrow zone the hysteresis is at most a quarter of its width. A
    track that is inside when it is first seen has appeared there. Only tracks of the zone's classes
    enter, and only while the zone applies; whoever is inside stays whatever its class becomes.
    """

    def __init__(self, rules: Sequence[ZoneRule], size: Size, columns: Columns, rows: I64) -> None:
        self._columns, self._rows = columns, rows if len(set(rows.tolist())) > 1 else rows[:1]
        self._rows_of = rows
        self._polygons = Polygons([scaled(rule.points, rule.units, size) for rule in rules])
        self._classes = ClassFilter([rule.classes for rule in rules])
        wanted = np.array([rule.hysteresis_px for rule in rules], np.float64)
        self._room: F64 = np.minimum(wanted, self._polygons.widths_px / 4)
        self._confirm = np.array([rule.confirm_frames for rule in rules], np.int64)
        count = len(rules)
        self._inside = columns.table(count, False, np.bool_)
        self._found = columns.table(count, False, np.bool_)
        self._since = columns.table(count, 0, np.int64)
        self._counts: I64 = np.zeros(count, np.int64)
        self._pending: dict[Key, tuple[float, float, int]] = {}
        self._streaks = Streaks(columns)
        """Where tracks do not count yet."""

    @property
    def inside(self) -> Bool:
        """The tracks inside each zone: (Z, capacity) bool by column."""
        inside: Bool = self._inside.now
        return inside

    def inside_of(self, columns: I64) -> Bool:
        """The same for some columns: (Z, T) bool."""
        return self._inside.of(columns)

    @property
    def counts(self) -> I64:
        """The number of tracks inside each zone, (Z,); not a copy, so it changes later."""
        return self._counts

    def since_ns(self, place: int, column: int) -> int:
        """The media time in ns at which a track entered."""
        return int(self._since.now[place, column])

    def update(self, sight: Sight, active: Bool) -> list[Passage]:
        """Take the next frame; `active` (Z,) bool are the zones that apply -> the passages, zone by
        zone."""
        seen = sight.columns
        if not len(seen):
            return []
        found = self._polygons.contain(*sight.points[:, self._rows])
        changed = found != self._found.of(seen)
        changed[:, sight.fresh] = False
        self._meet(sight, changed)
        self._found.put(seen, found)
        inside = self._inside.of(seen)
        may_enter = active[:, None] & self._classes.take(sight.class_id)
        places, at = pairs((found != inside) & (inside | may_enter))
        if not len(places):
            return []
        return sorted(self._pass(sight, places, at), key=lambda passage: passage.place)

    def _pass(self, sight: Sight, places: I64, at: I64) -> Iterator[Passage]:
        """Find the tracks that count from now on where they did not yet."""
        x, y = sight.at(self._rows_of[places], at)
        far = self._polygons.edge_distances_px(places, x, y) >= self._room[places]
        fresh, columns = sight.fresh[at], sight.columns[at]
        for k in np.flatnonzero(far | fresh).tolist():
            key = place, column = int(places[k]), int(columns[k])
            streak = self._streaks.longer(key, sight.now_ns)
            if streak < self._confirm[place] and not fresh[k]:
                continue
            self._streaks.end(key)
            met = self._pending.pop(key, None)
            to_x, to_y, at_ns = met or (float(x[k]), float(y[k]), sight.now_ns)
            if self._inside.now[key]:
                yield self._leave(place, column, (to_x, to_y), at_ns, "left")
            else:
                self._inside.now[key], self._since.now[key] = True, at_ns
                self._counts[place] += 1
                crossed = met is not None
                yield Passage(place, column, (to_x, to_y), at_ns, at_ns, crossed=crossed)

    def leave(self, columns: Sequence[int], cause: EndCause) -> list[Passage]:
        """Let tracks that are over leave all zones where they were last seen."""
        told = [
            self._leave_here(place, column, cause)
            for column in columns
            for place in np.flatnonzero(self._inside.now[:, column]).tolist()
        ]
        over = set(columns)
        for key in [key for key in self._pending if key[1] in over]:
            del self._pending[key]
        self._streaks.forget(over)
        return told

    def empty(self, place: int, cause: EndCause) -> list[Passage]:
        """Let all leave a zone, which no longer applies."""
        columns = np.flatnonzero(self._inside.now[place]).tolist()
        return [self._leave_here(place, column, cause) for column in columns]

    def forget_ways(self, place: int) -> None:
        """Forget ways, as a zone applies again: who is inside has not crossed its edge since."""
        for key in [key for key in self._pending if key[0] == place]:
            del self._pending[key]

    def _leave_here(self, place: int, column: int, cause: EndCause) -> Passage:
        point = self._columns.point(int(self._rows_of[place]), column)
        return self._leave(place, column, point, int(self._columns.seen_ns.now[column]), cause)

    def _leave(
        self, place: int, column: int, point: tuple[float, float], at_ns: int, cause: EndCause
    ) -> Passage:
        self._inside.now[place, column] = False
        self._counts[place] -= 1
        since_ns = self.since_ns(place, column)
        return Passage(place, column, point, max(at_ns, since_ns), since_ns, cause)

    def _meet(self, sight: Sight, changed: Bool) -> None:
        """Note where those that are found on the other side of an edge have crossed it."""
        places, at = pairs(changed)
        if not len(places):
            return
        columns, rows = sight.columns[at], self._rows_of[places]
        start = self._columns.points_of(rows, columns)
        way = sight.at(rows, at) - start
        share = self._polygons.last_met(places, start, way)
        x, y = (start + share * way).tolist()
        before_ns = self._columns.seen_ns.now[columns]
        at_ns = before_ns + np.rint(share * (sight.now_ns - before_ns)).astype(np.int64)
        keys = zip(places.tolist(), columns.tolist(), strict=True)
        self._pending.update(zip(keys, zip(x, y, at_ns.tolist(), strict=True), strict=True))
