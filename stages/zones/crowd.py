"""How many tracks are in zones: changes of occupancy, and overcrowding."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from pipeline.core.arrays import I64
from pipeline.core.messages import EndCause, Phase
from stages.zones.happenings import Crowd, CrowdKind
from stages.zones.lasting import NEVER
from stages.zones.presence import Presence
from stages.zones.rules import ZoneRule
from stages.zones.sight import Columns

_PATIENCE: Final = 5


class _Open:
    """An event of one zone that is not over."""

    def __init__(self, started_ns: int, peak: int) -> None:
        self.started_ns, self.peak, self.told_ns = started_ns, peak, started_ns


class Crowds:
    """The occupancy of Z zones. A count counts once it has held for as long as the zone's rule
    says, so that a track that flickers changes nothing; where it never holds, once it has differed
    from the one that was told for five times as long."""

    def __init__(self, rules: Sequence[ZoneRule], columns: Columns, presence: Presence) -> None:
        self._rules, self._columns, self._presence = rules, columns, presence
        count = len(rules)
        self._hold_ns = np.array(
            [r.occupancy.hold_ns if r.occupancy else 0 for r in rules], np.int64
        )
        self._counted = np.array([r.occupancy is not None for r in rules], np.bool_)
        limits = [rule.crowd for rule in rules]
        self._limit = np.array([limit.limit if limit else NEVER for limit in limits], np.int64)
        self._clear = np.array([limit.clear if limit else -1 for limit in limits], np.int64)
        self._crowded = np.zeros(count, np.bool_)
        self._turning = np.zeros(count, np.bool_)
        self._told: I64 = np.zeros(count, np.int64)
        self._differs_ns: I64 = np.full(count, NEVER, np.int64)
        self._holds_ns: I64 = np.zeros(count, np.int64)
        self._before: I64 = np.zeros(count, np.int64)
        self._turns_ns: dict[int, int] = {}
        """Since when a limited zone is on the other side of its limit."""
        self._open: dict[tuple[CrowdKind, int], _Open] = {}

    def update(self, now_ns: int) -> list[Crowd]:
        """The next frame, after all that enter and leave."""
        counts = self._presence.counts
        told = [*self._occupancy(counts, now_ns)]
        turns = np.where(self._crowded, counts <= self._clear, counts >= self._limit)
        for place in np.flatnonzero(turns | self._turning | self._crowded).tolist():
            told += self._crowding(place, int(counts[place]), now_ns)
        return told

    def close(self, places: Sequence[int], now_ns: int, cause: EndCause) -> list[Crowd]:
        """What these zones hold is over."""
        told = []
        for kind, place in [key for key in self._open if key[1] in places]:
            told.append(self._tell(kind, place, "end", now_ns, cause))
        for place in places:
            self._told[place], self._differs_ns[place] = 0, NEVER
            self._turns_ns.pop(place, None)
            self._crowded[place] = self._turning[place] = False
        return told

    def is_over(self, place: int) -> bool:
        """Whether it is overcrowded."""
        return ("overcrowding", place) in self._open

    def _occupancy(self, counts: I64, now_ns: int) -> Iterator[Crowd]:
        differs = self._counted & (counts != self._told)
        self._differs_ns[~differs] = NEVER
        self._differs_ns[differs] = np.minimum(self._differs_ns[differs], now_ns)
        self._holds_ns[counts != self._before] = now_ns
        self._before = counts
        late = now_ns - np.where(differs, self._differs_ns, now_ns) >= _PATIENCE * self._hold_ns
        due = differs & ((now_ns - self._holds_ns >= self._hold_ns) | late)
        for place in np.flatnonzero(due).tolist():
            count, before = int(counts[place]), int(self._told[place])
            if not before:
                since_ns = int(self._differs_ns[place])
                self._open["occupancy", place] = _Open(since_ns, count)
            phase: Phase = "update" if before and count else "start" if count else "end"
            self._told[place], self._differs_ns[place] = count, NEVER
            yield self._tell("occupancy", place, phase, now_ns, None if count else "over")

    def _crowding(self, place: int, count: int, now_ns: int) -> Iterator[Crowd]:
        rule = self._rules[place].crowd
        assert rule is not None
        running = self._open.get(("overcrowding", place))
        turns = count <= rule.clear if running else count >= rule.limit
        self._turning[place] = turns
        if not turns:
            self._turns_ns.pop(place, None)
        elif now_ns - (since_ns := self._turns_ns.setdefault(place, now_ns)) >= rule.hold_ns:
            del self._turns_ns[place]
            if running is None:
                self._open["overcrowding", place] = _Open(since_ns, count)
            over = None if running is None else "over"
            self._crowded[place], self._turning[place] = running is None, False
            phase: Phase = "start" if running is None else "end"
            yield self._tell("overcrowding", place, phase, now_ns, "over" if over else None)
            return
        late = rule.every_ns is not None and running is not None
        if running and (count > running.peak or (late and self._is_due(place, now_ns))):
            yield self._tell("overcrowding", place, "update", now_ns)

    def _is_due(self, place: int, now_ns: int) -> bool:
        rule, running = self._rules[place].crowd, self._open["overcrowding", place]
        assert rule is not None
        return rule.every_ns is not None and now_ns - running.told_ns >= rule.every_ns

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
