"""The movement of tracks in zones: who stands still, and who goes another way than allowed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pipeline.core.arrays import F64, I64, Bool
from stages.zones.happenings import Way
from stages.zones.lasting import Lasting, Told
from stages.zones.rules import DirectionRule, Size, ZoneRule, scaled
from stages.zones.sight import Columns, Sight, pairs


@dataclass(frozen=True, slots=True)
class Insiders:
    """P pairs of a zone and a track that is seen inside, in one frame: (P,) place of the zone,
    column of the track, its anchor and the height of its box in pixels."""

    places: I64
    columns: I64
    x: F64
    y: F64
    height_px: F64
    now_ns: int

    @classmethod
    def of(cls, sight: Sight, inside: Bool, rows: I64) -> Self:
        """The tracks inside: (Z, T) bool who is, and (Z,) rows of the zones' anchors."""
        places, at = pairs(inside)
        x, y = sight.at(rows[places], at)
        return cls(places, sight.columns[at], x, y, sight.height_px[at], sight.now_ns)

    def where(self, chosen: Bool | I64) -> Self:
        """Some of them."""
        return type(self)(
            self.places[chosen],
            self.columns[chosen],
            self.x[chosen],
            self.y[chosen],
            self.height_px[chosen],
            self.now_ns,
        )


class Movement:
    """The distances that the tracks in some zones have come from where they were looked at last, in
    heights of their boxes: that is about as many metres near the camera as far from it. `reach` by
    place of the zone; NaN: it does not ask."""

    def __init__(self, reach: Sequence[float], columns: Columns) -> None:
        self._reach = np.array(reach, np.float64)
        self._asked = ~np.isnan(self._reach)
        self._all = bool(self._asked.all())
        self._x = columns.table(len(reach), np.nan, np.float64)
        self._y = columns.table(len(reach), np.nan, np.float64)

    @property
    def is_asked(self) -> bool:
        """True if any zone asks for it."""
        return bool(self._asked.any())

    def follow(self, insiders: Insiders) -> tuple[Insiders, Bool, F64, F64]:
        """Follow all that are inside -> those of them that have come further than that, or have
        entered: which of these have `moved`, and their ways since. They are looked at anew from
        here."""
        if not self._all:
            insiders = insiders.where(self._asked[insiders.places])
        known_x, known_y = self._x.cells, self._y.cells
        cells = insiders.columns * len(self._reach) + insiders.places
        dx, dy = insiders.x - known_x.take(cells), insiders.y - known_y.take(cells)
        reach = self._reach[insiders.places] * insiders.height_px
        # NaN, what has just entered, is no distance within reach
        (anew,) = (~(dx * dx + dy * dy <= reach * reach)).nonzero()
        found, dx, dy = insiders.where(anew), dx[anew], dy[anew]
        known_x[cells[anew]], known_y[cells[anew]] = found.x, found.y
        return found, ~np.isnan(dx), dx, dy

    def leave(self, place: int, column: int) -> None:
        """A track is no longer inside."""
        self._x.now[place, column] = np.nan


class Stopped:
    """Tracks that have not moved for a while."""

    def __init__(self, rules: Sequence[ZoneRule], columns: Columns) -> None:
        asked = [rule.stopped for rule in rules]
        self.lasting = Lasting([rule.stay if rule else None for rule in asked], columns)
        self.movement = Movement([rule.radius if rule else math.nan for rule in asked], columns)

    def update(self, insiders: Insiders) -> list[Told]:
        """The next frame, once who enters and leaves is known -> what is over."""
        if not self.movement.is_asked:
            return []
        anew, _, _, _ = self.movement.follow(insiders)
        return self.lasting.restart(anew.places, anew.columns, anew.now_ns)


class Headings:
    """Tracks that go another way than allowed."""

    def __init__(self, rules: Sequence[ZoneRule], size: Size, columns: Columns) -> None:
        asked = [rule.direction for rule in rules]
        self.lasting = Lasting([rule.stay if rule else None for rule in asked], columns)
        self.movement = Movement([rule.step if rule else math.nan for rule in asked], columns)
        self._allowed, self._tolerance = np.zeros(len(rules)), np.zeros(len(rules))
        for place, rule in enumerate(asked):
            if rule is not None:
                self._allowed[place] = _degrees_of(rule, rules[place], size)
                self._tolerance[place] = rule.tolerance_deg
        self._heading = columns.table(len(rules), 0.0, np.float64)
        self._looked_ns = columns.table(len(rules), 0, np.int64)

    def way(self, place: int, column: int) -> Way:
        """The heading of a track, and the allowed one."""
        heading = float(self._heading.now[place, column])
        return Way(heading, float(self._allowed[place]), float(self._tolerance[place]))

    def update(self, insiders: Insiders) -> list[Told]:
        """Take the next frame, as `Stopped.update`. Who has come far enough has a heading."""
        if not self.movement.is_asked:
            return []
        anew, moved, dx, dy = self.movement.follow(insiders)
        going = anew.where(moved)
        heading = np.degrees(np.arctan2(dy[moved], dx[moved])) % 360
        off = np.abs((heading - self._allowed[going.places] + 180) % 360 - 180)
        told = self._judge(going, heading, off <= self._tolerance[going.places])
        self._looked_ns.now[anew.places, anew.columns] = anew.now_ns
        return told

    def _judge(self, going: Insiders, heading: F64, right: Bool) -> list[Told]:
        places, columns = going.places, going.columns
        begun = self.lasting.begun(places, columns)
        self._heading.now[places[~right], columns[~right]] = heading[~right]
        told = []
        for k in np.flatnonzero(begun == right).tolist():
            key = place, column = int(places[k]), int(columns[k])
            if right[k]:
                told += self.lasting.stop(place, column, going.now_ns, "over")
            else:
                self.lasting.begin(place, column, int(self._looked_ns.now[key]))
        return sorted(told, key=lambda one: one.place)


def _degrees_of(rule: DirectionRule, zone: ZoneRule, size: Size) -> float:
    (x, y), (to_x, to_y) = scaled(rule.along, zone.units, size)
    return float(np.degrees(np.arctan2(to_y - y, to_x - x)) % 360)
