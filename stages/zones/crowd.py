"""The numbers of tracks in zones: changes of occupancy, and overcrowding."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np

from pipeline.core.messages import EndCause, Phase
from stages.zones.happenings import Crowd, CrowdKind
from stages.zones.presence import Presence
from stages.zones.rules import LimitRule, ZoneRule
from stages.zones.sight import Columns

_PATIENCE: Final = 5


class _Open:
    """An event of one zone that is not over."""

    def __init__(self, started_ns: int, peak: int) -> None:
        self.started_ns, self.peak, self.told_ns = started_ns, peak, started_ns


class Crowds:
    """The occupancy of Z zones. A count counts once it has held for as long as the zone's rule
    says, so that a track that flickers changes nothing. Where it never holds, it counts once it has
    differed from the one that was told for five times as long; and that there is anybody at all,
    once that has held, however many they are.

    A frame costs nothing for zones whose count does not change and that wait for nothing.
    """

    def __init__(self, rules: Sequence[ZoneRule], columns: Columns, presence: Presence) -> None:
        self._rules, self._columns, self._presence = rules, columns, presence
        self._counts = [0] * len(rules)
        """As of the last frame."""
        self._told = [0] * len(rules)
        self._differs_ns: dict[int, int] = {}
        """Since when a zone's count is another than was told."""
        self._due_ns: dict[int, int] = {}
        """When that will be told, if the count stays as it is."""
        self._turns_ns: dict[int, int] = {}
        """Since when a limited zone is on the other side of its limit."""
        self._open: dict[tuple[CrowdKind, int], _Open] = {}

    def update(self, entered_or_left: Collection[int], now_ns: int) -> list[Crowd]:
        """The next frame, after all that enter and leave these zones."""
        counts = self._presence.counts
        changed = [place for place in entered_or_left if counts[place] != self._counts[place]]
        for place in changed:
            self._counts[place] = int(counts[place])
            self._differ(place, now_ns)
        due = [place for place, due_ns in self._due_ns.items() if due_ns <= now_ns]
        told = [self._occupied(place, now_ns) for place in sorted(due)]
        waits = {place for kind, place in self._open if kind == "overcrowding"}
        for place in sorted(waits.union(changed, self._turns_ns)):
            if (rule := self._rules[place].crowd) is not None:
                told += self._crowding(rule, place, now_ns)
        return told

    def close(self, places: Sequence[int], now_ns: int, cause: EndCause) -> list[Crowd]:
        """End what lasts in these zones, which are empty by now."""
        told = []
        for kind, place in [key for key in self._open if key[1] in places]:
            told.append(self._tell(kind, place, "end", now_ns, cause))
        for place in places:
            self._told[place] = self._counts[place] = 0
            for waits in (self._differs_ns, self._due_ns, self._turns_ns):
                waits.pop(place, None)
        return told

    def is_over(self, place: int) -> bool:
        """True if the zone is overcrowded."""
        return ("overcrowding", place) in self._open

    def _differ(self, place: int, now_ns: int) -> None:
        """Its count has changed."""
        rule = self._rules[place].occupancy
        if rule is None:
            return
        if self._counts[place] == self._told[place]:
            self._differs_ns.pop(place, None)
            self._due_ns.pop(place, None)
            return
        patience_ns = (_PATIENCE if self._told[place] else 1) * rule.hold_ns
        since_ns = self._differs_ns.setdefault(place, now_ns)
        self._due_ns[place] = min(now_ns + rule.hold_ns, since_ns + patience_ns)

    def _occupied(self, place: int, now_ns: int) -> Crowd:
        """Its count is to be told."""
        del self._due_ns[place]
        since_ns, before = self._differs_ns.pop(place), self._told[place]
        count = self._told[place] = self._counts[place]
        if not before:
            self._open["occupancy", place] = _Open(since_ns, count)
        phase: Phase = "update" if before and count else "start" if count else "end"
        return self._tell("occupancy", place, phase, now_ns, None if count else "over")

    def _crowding(self, rule: LimitRule, place: int, now_ns: int) -> Iterator[Crowd]:
        count, running = self._counts[place], self._open.get(("overcrowding", place))
        if not (count <= rule.clear if running else count >= rule.limit):
            self._turns_ns.pop(place, None)
        elif now_ns - (since_ns := self._turns_ns.setdefault(place, now_ns)) >= rule.hold_ns:
            del self._turns_ns[place]
            if running is None:
                self._open["overcrowding", place] = _Open(since_ns, count)
                yield self._tell("overcrowding", place, "start", now_ns)
            else:
                yield self._tell("overcrowding", place, "end", now_ns, "over")
            return
        if running is None:
            return
        is_late = rule.every_ns is not None and now_ns - running.told_ns >= rule.every_ns
        if is_late or count > running.peak:
            yield self._tell("overcrowding", place, "update", now_ns)

    def _tell(
        self, kind: CrowdKind, place: int, phase: Phase, now_ns: int, cause: EndCause | None = None
    ) -> Crowd:
        rule = self._rules[place]
        running = self._open.pop((kind, place)) if phase == "end" else self._open[kind, place]
        columns = np.flatnonzero(self._presence.inside[place])
        by_class = Counter(self._columns.class_id.now[columns].tolist())
        running.peak = max(running.peak, by_class.total())
        running.told_ns = now_ns
        limit = rule.crowd.limit if kind == "overcrowding" and rule.crowd else None
        return Crowd(
            kind, phase, rule.name, by_class, running.peak, running.started_ns, now_ns, limit, cause
        )
