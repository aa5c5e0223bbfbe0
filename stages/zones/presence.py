"""Which tracks are inside which zones: who enters and leaves, where and when."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F64, I64, Bool
from pipeline.core.messages import EndCause
from stages.zones.classes import ClassFilter
from stages.zones.polygon import Polygons
from stages.zones.rules import Size, ZoneRule, scaled
from stages.zones.sight import Columns, Sight, pairs

Key = tuple[int, int]
"""Place of a zone, column of a track."""


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
        self._pending: dict[Key, tuple[float, float, int]] = {}
        self._streaks: dict[Key, int] = {}
        """For how many of their frames in a row tracks have been where they do not count."""

    @property
    def inside(self) -> Bool:
        """(Z, capacity) by column."""
        inside: Bool = self._inside.now
        return inside

    @property
    def counts(self) -> I64:
        """(Z,) how many are inside."""
        counts: I64 = np.count_nonzero(self._inside.now, axis=1)
        return counts

    def since_ns(self, place: int, column: int) -> int:
        """When it entered."""
        return int(self._since.now[place, column])

    def update(self, sight: Sight, active: Bool) -> list[Passage]:
        """The next frame; `active` (Z, 1) which zones apply."""
        seen, fresh = sight.columns, sight.fresh
        if not len(seen):
            return []
        found = self._polygons.contain(*sight.points[:, self._rows])
        changed = found != self._found.now[:, seen]
        changed[:, fresh] = False
        self._meet(sight, changed)
        self._found.now[:, seen] = found
        inside = self._inside.now[:, seen]
        contrary = (found != inside) & (inside | (active & self._classes.take(sight.class_id)))
        places, at = pairs(contrary)
        if self._streaks:
            of_others = set(seen.tolist())
            old = {key: n for key, n in self._streaks.items() if key[1] in of_others}
        else:
            old = {}
        for key in old:
            del self._streaks[key]
        return list(self._pass(sight, places, at, old)) if len(places) else []

    def _pass(
        self, sight: Sight, places: I64, at: I64, streaks: Mapping[Key, int]
    ) -> Iterator[Passage]:
        """Of those that are where they do not count, the ones that count there from now on."""
        rows = self._rows_of[places]
        x, y = sight.points[0, rows, at], sight.points[1, rows, at]
        far = self._polygons.edge_distances_px(places, x, y) >= self._room[places]
        for k in np.flatnonzero(far | sight.fresh[at]).tolist():
            place, column = int(places[k]), int(sight.columns[at[k]])
            streak = streaks.get((place, column), 0) + 1
            if streak < self._confirm[place] and not sight.fresh[at[k]]:
                self._streaks[place, column] = streak
                continue
            here = float(x[k]), float(y[k]), sight.now_ns
            met = self._pending.pop((place, column), None)
            to_x, to_y, at_ns = here if met is None else met
            if self._inside.now[place, column]:
                yield self._leave(place, column, (to_x, to_y), at_ns, "left")
            else:
                self._inside.now[place, column] = True
                self._since.now[place, column] = at_ns
                crossed = met is not None
                yield Passage(place, column, (to_x, to_y), at_ns, at_ns, crossed=crossed)

    def leave(self, columns: Sequence[int], cause: EndCause) -> list[Passage]:
        """Tracks that are over leave all zones where they were last seen."""
        told = [
            self._leave_here(place, column, cause)
            for column in columns
            for place in np.flatnonzero(self._inside.now[:, column]).tolist()
        ]
        over = set(columns)
        for noted in (self._pending, self._streaks):
            for key in [key for key in noted if key[1] in over]:
                del noted[key]
        return told

    def empty(self, place: int, cause: EndCause) -> list[Passage]:
        """All leave a zone, which no longer applies."""
        columns = np.flatnonzero(self._inside.now[place]).tolist()
        return [self._leave_here(place, column, cause) for column in columns]

    def forget_ways(self, place: int) -> None:
        """A zone applies again: who is inside has not crossed its edge since."""
        for key in [key for key in self._pending if key[0] == place]:
            del self._pending[key]

    def _leave_here(self, place: int, column: int, cause: EndCause) -> Passage:
        point = self._columns.point(int(self._rows_of[place]), column)
        return self._leave(place, column, point, int(self._columns.seen_ns.now[column]), cause)

    def _leave(
        self, place: int, column: int, point: tuple[float, float], at_ns: int, cause: EndCause
    ) -> Passage:
        self._inside.now[place, column] = False
        since_ns = self.since_ns(place, column)
        return Passage(place, column, point, max(at_ns, since_ns), since_ns, cause)

    def _meet(self, sight: Sight, changed: Bool) -> None:
        """Note where those that are found on the other side of an edge have crossed it."""
        places, at = pairs(changed)
        if not len(places):
            return
        columns, rows = sight.columns[at], self._rows_of[places]
        start = self._columns.points_of(rows, columns)
        way = sight.points[:, rows, at].T - start
        share = self._polygons.last_met(places, start, start + way)
        met = (start + share[:, None] * way).tolist()
        before_ns = self._columns.seen_ns.now[columns]
        at_ns = before_ns + np.rint(share * (sight.now_ns - before_ns)).astype(np.int64)
        for key, (x, y), ns in zip(
            zip(places.tolist(), columns.tolist(), strict=True), met, at_ns.tolist(), strict=True
        ):
            self._pending[key] = x, y, ns
