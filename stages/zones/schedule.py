"""Schedules: at which hours of which days a rule applies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from typing import Final, Literal

import numpy as np

from pipeline.core.arrays import Bool

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTE_NS: Final = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hours of days, by the clocks of `zone`. `hours` are from the first time on and before the
    second; where that is not later, it is of the day after, and `days` says on which days they
    begin. None as the second: until midnight."""

    days: frozenset[Day]
    hours: tuple[tuple[time, time | None], ...]
    zone: tzinfo = UTC

    def applies(self, captured_ns: int) -> bool:
        """True if the rule applies at this time, UTC. Summer time is that of the zone."""
        local = datetime.fromtimestamp(captured_ns // 10**9, self.zone)
        clock, today = local.time(), DAYS[local.weekday()]
        yesterday = DAYS[local.weekday() - 1]
        for start, end in self.hours:
            if end is None:
                on = today in self.days and start <= clock
            elif start < end:
                on = today in self.days and start <= clock < end
            else:
                on = (today in self.days and start <= clock) or (
                    yesterday in self.days and clock < end
                )
            if on:
                return True
        return False


class Schedules:
    """The schedules of N rules, None: always. Which are `active` (N,) is looked up once a minute,
    as no zone changes its clocks between full minutes."""

    def __init__(self, schedules: Sequence[Schedule | None]) -> None:
        self._schedules = schedules
        self._minute: int | None = None
        self._always = all(schedule is None for schedule in schedules)
        self.active: Bool = np.ones(len(schedules), np.bool_)

    def look(self, captured_ns: int) -> list[int]:
        """Bring `active` up to date; the places of those that have changed."""
        minute = captured_ns // _MINUTE_NS
        if self._always or minute == self._minute:
            return []
        self._minute = minute
        now = [schedule is None or schedule.applies(captured_ns) for schedule in self._schedules]
        before, self.active = self.active, np.array(now, np.bool_)
        return np.flatnonzero(before != self.active).tolist()
