"""Events that last for a track in a zone: told once they have lasted long enough, now and then
while they go on, and when they are over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.core.arrays import I64, Bool
from pipeline.core.messages import EndCause, Phase
from stages.zones.rules import StayRule
from stages.zones.sight import Columns, pairs
from stages.zones.streaks import Key

NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Told:
    """One message of one of them: how long from `since_ns` until `now_ns`."""

    place: int
    column: int
    phase: Phase
    since_ns: int
    now_ns: int
    cause: EndCause | None = None


class Lasting:
    """One kind of event in Z zones; a rule that is None asks for nothing. Each track has one at a
    time in each zone."""

    def __init__(self, rules: Sequence[StayRule | None], columns: Columns) -> None:
        self._rules, self._columns = rules, columns
        self.limits_ns: I64 = np.array([rule.limit_ns if rule else 0 for rule in rules], np.int64)
        self._asked = [rule is not None for rule in rules]
        self.is_asked = any(self._asked)
        self._due = columns.table(len(rules), NEVER, np.int64)
        self._since = columns.table(len(rules), NEVER, np.int64)
        self._next_ns = NEVER
        """Nothing but `_at_once` is due earlier."""
        self._at_once: list[Key] = []
        """What has begun since the last frame, and lasts long enough at once."""
        self._told_ns: dict[Key, int] = {}
        """The times of those that have been told and are not over."""

    def begin(self, place: int, column: int, since_ns: int) -> None:
        """Begin what may become an event."""
        if self._asked[place]:
            self._since.now[place, column] = since_ns
            due_ns = since_ns + int(self.limits_ns[place])
            self._due.now[place, column] = due_ns
            if due_ns == since_ns:
                self._at_once.append((place, column))
            else:
                self._next_ns = min(self._next_ns, due_ns)

    def begun(self, places: I64, columns: I64) -> Bool:
        """(P,) bool: the pairs that have begun and are not over, whether or not they have been
        told."""
        begun: Bool = self._since.now[places, columns] != NEVER
        return begun

    def stop(self, place: int, column: int, now_ns: int, cause: EndCause) -> list[Told]:
        """End it: told if its start was told, and never earlier than it was told last."""
        if not self._asked[place]:
            return []
        told_ns = self._told_ns.pop((place, column), None)
        since_ns = int(self._since.now[place, column])
        self._due.now[place, column] = self._since.now[place, column] = NEVER
        if told_ns is None:
            return []
        return [Told(place, column, "end", since_ns, max(now_ns, told_ns), cause)]

    def restart(self, places: I64, columns: I64, now_ns: int) -> list[Told]:
        """End what there is at these pairs, which may begin anew."""
        told = []
        if self._told_ns:
            pairs = set(zip(places.tolist(), columns.tolist(), strict=True))
            for place, column in [key for key in self._told_ns if key in pairs]:
                told += self.stop(place, column, now_ns, "over")
        self._since.now[places, columns] = now_ns
        due_ns = now_ns + self.limits_ns[places]
        self._due.now[places, columns] = due_ns
        self._next_ns = min(self._next_ns, int(due_ns.min(initial=NEVER)))
        return told

    def tick(self, now_ns: int) -> list[Told]:
        """Tell those that are due in this frame, of tracks that are seen in it."""
        if now_ns < self._next_ns:
            if not self._at_once:
                return []
            due, self._at_once = self._at_once, []
            return self._tell(due, now_ns)
        self._at_once = []
        due = [*zip(*(axis.tolist() for axis in pairs(self._due.now <= now_ns)), strict=True)]
        told = self._tell(due, now_ns)
        self._next_ns = int(self._due.now.min(initial=NEVER))
        return told

    def _tell(self, due: Sequence[Key], now_ns: int) -> list[Told]:
        told = []
        for key in sorted(due):
            place, column = key
            due_ns = int(self._due.now[key])
            if due_ns <= now_ns and self._columns.seen_ns.now[column] == now_ns:
                phase: Phase = "update" if key in self._told_ns else "start"
                self._told_ns[key] = now_ns
                since_ns = int(self._since.now[key])
                due_ns = self._due.now[key] = self._after_ns(place, since_ns, now_ns)
                told.append(Told(place, column, phase, since_ns, now_ns))
            self._next_ns = min(self._next_ns, due_ns)
        return told

    def _after_ns(self, place: int, since_ns: int, now_ns: int) -> int:
        """The first whole multiple of `every_ns` behind the limit that is still to come."""
        rule = self._rules[place]
        if rule is None or rule.every_ns is None:
            return NEVER
        first_ns = since_ns + rule.limit_ns
        return first_ns + ((now_ns - first_ns) // rule.every_ns + 1) * rule.every_ns
