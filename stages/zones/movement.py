"""Which tracks in zones stand still, and which go another way than allowed."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.core.arrays import F64, I64, Bool
from stages.zones.happenings import Way
from stages.zones.lasting import Lasting, Told
from stages.zones.rules import DirectionRule, Size, ZoneRule, scaled
from stages.zones.sight import Columns, Sight


class Movement:
    """How far the tracks in some zones have come from where they were looked at last, in heights of
    their boxes: that is about as many metres near the camera as far from it."""

    def __init__(self, reach: Mapping[int, float], count: int, columns: Columns, rows: I64) -> None:
        places = list(reach)
        self._rows = rows
        self.asked = np.zeros(count, np.bool_)
        self.asked[places] = True
        self._slot = np.cumsum(self.asked) - 1
        self._reach = np.array(list(reach.values()), np.float64)
        self._x = columns.table(len(places), 0.0, np.float64)
        self._y = columns.table(len(places), 0.0, np.float64)

    def follow(self, sight: Sight, places: I64, at: I64, entered: Bool) -> tuple[Bool, F64, F64]:
        """(P,) pairs of the place of a zone and a row of what is seen, of all that are inside:
        which have come further than that, and their ways since. They are looked at anew where they
        are now, and so are those that have `entered`."""
        columns, rows, slot = sight.columns[at], self._rows[places], self._slot[places]
        x, y = sight.points[0, rows, at], sight.points[1, rows, at]
        dx, dy = x - self._x.now[slot, columns], y - self._y.now[slot, columns]
        reach = self._reach[slot] * sight.height_px[at]
        moved = ~entered & (dx * dx + dy * dy > reach * reach)
        anew = moved | entered
        self._x.now[slot[anew], columns[anew]] = x[anew]
        self._y.now[slot[anew], columns[anew]] = y[anew]
        return moved, dx, dy


class Stopped:
    """Tracks that have not moved for a while."""

    def __init__(self, rules: Sequence[ZoneRule], columns: Columns, rows: I64) -> None:
        asked = {place: rule.stopped for place, rule in enumerate(rules) if rule.stopped}
        self.lasting = Lasting([r.stopped.stay if r.stopped else None for r in rules], columns)
        reach = {place: rule.radius for place, rule in asked.items()}
        self._movement = Movement(reach, len(rules), columns, rows)

    def update(self, sight: Sight, places: I64, at: I64, entered: Bool) -> list[Told]:
        """(P,) pairs of zone and row of what is seen, of all that are inside, and which of these
        have just entered -> what is over."""
        asked = self._movement.asked[places]
        if not asked.any():
            return []
        places, at, entered = places[asked], at[asked], entered[asked]
        moved, _, _ = self._movement.follow(sight, places, at, entered)
        anew = moved | entered
        return self.lasting.restart(places[anew], sight.columns[at[anew]], sight.now_ns)


class Headings:
    """Tracks that go another way than allowed."""

    def __init__(self, rules: Sequence[ZoneRule], size: Size, columns: Columns, rows: I64) -> None:
        asked = {place: rule.direction for place, rule in enumerate(rules) if rule.direction}
        stays = [rule.direction.stay if rule.direction else None for rule in rules]
        self.lasting = Lasting(stays, columns)
        steps = {place: rule.step for place, rule in asked.items()}
        self._movement = Movement(steps, len(rules), columns, rows)
        self._allowed, self._tolerance = np.zeros(len(rules)), np.zeros(len(rules))
        for place, rule in asked.items():
            self._allowed[place] = _degrees_of(rule, rules[place], size)
            self._tolerance[place] = rule.tolerance_deg
        self._heading = columns.table(len(rules), 0.0, np.float64)
        self._looked_ns = columns.table(len(rules), 0, np.int64)

    def way(self, place: int, column: int) -> Way:
        """How a track goes, and how it should."""
        heading = float(self._heading.now[place, column])
        return Way(heading, float(self._allowed[place]), float(self._tolerance[place]))

    def update(self, sight: Sight, places: I64, at: I64, entered: Bool) -> list[Told]:
        """As `Stopped.update`."""
        asked = self._movement.asked[places]
        if not asked.any():
            return []
        places, at, entered = places[asked], at[asked], entered[asked]
        moved, dx, dy = self._movement.follow(sight, places, at, entered)
        told = []
        for k in np.flatnonzero(moved).tolist():
            told += self._judge(int(places[k]), int(sight.columns[at[k]]), dx[k], dy[k], sight)
        anew = moved | entered
        self._looked_ns.now[places[anew], sight.columns[at[anew]]] = sight.now_ns
        return told

    def _judge(self, place: int, column: int, dx: float, dy: float, sight: Sight) -> list[Told]:
        """A track has come far enough to have a heading."""
        heading = math.degrees(math.atan2(dy, dx)) % 360
        off = abs((heading - float(self._allowed[place]) + 180) % 360 - 180)
        if off <= self._tolerance[place]:
            return self.lasting.stop(place, column, sight.now_ns, "over")
        self._heading.now[place, column] = heading
        if not self.lasting.has_begun(place, column):
            self.lasting.begin(place, column, int(self._looked_ns.now[place, column]))
        return []


def _degrees_of(rule: DirectionRule, zone: ZoneRule, size: Size) -> float:
    (x, y), (to_x, to_y) = scaled(rule.along, zone.units, size)
    return float(np.degrees(np.arctan2(to_y - y, to_x - x)) % 360)
