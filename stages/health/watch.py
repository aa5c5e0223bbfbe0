"""The watch over all conditions of one stream, a look or two a second."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.core.messages import CONDITIONS, Condition
from pipeline.core.picture import AnyPicture
from stages.base import Counts
from stages.health.alarm import Alarm
from stages.health.black import judge_black
from stages.health.blurred import Blurred
from stages.health.clock_offset import judge_clock
from stages.health.damage import Damage
from stages.health.finding import Change, Finding
from stages.health.frozen import Frozen
from stages.health.rate import Rate
from stages.health.sample import look

LONGEST_STEP_S: Final = 2.0
"""Time without pictures counts as no more: nothing was seen in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the watch; `configs/README.md` explains each."""

    conditions: Sequence[Condition] = CONDITIONS
    every_s: float = 0.5
    start_s: float = 10.0
    end_s: float = 5.0
    expected_fps: float | None = None
    low_fps_share: float = 0.5
    clock_offset_alarm_s: float = 2.0


class HealthWatch:
    """The eye on one stream, over all of its connections.

    Time is media time, so that the same pictures give the same changes. Two threads may call: the
    decoder's and the one that watches over it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        start_s, end_s = settings.start_s, settings.end_s
        self._alarms = {kind: Alarm(start_s, end_s) for kind in settings.conditions}
        self._frozen, self._blurred, self._damage = Frozen(), Blurred(), Damage()
        self._rate = Rate(settings.expected_fps, settings.low_fps_share)
        self._time_s = 0.0
        self._pts_ns: int | None = None
        self._looked_s: float | None = None
        self._seen = False
        self._seen_s = 0.0

    @property
    def active(self) -> list[Condition]:
        """The conditions that are wrong now."""
        return [kind for kind, alarm in self._alarms.items() if alarm.active]

    def observe(self, picture: AnyPicture, pts_ns: int, counts: Counts) -> list[Change]:
        """Look at the next picture, which is not kept; media time ascends within a connection."""
        with self._lock:
            self._seen = True
            if self._pts_ns is not None:
                step_s = (pts_ns - self._pts_ns) / 1e9
                self._time_s += min(max(step_s, 0.0), LONGEST_STEP_S)
            self._pts_ns = pts_ns
            if self._looked_s is not None and self._time_s - self._looked_s < self._every_s:
                return []
            self._looked_s = self._time_s
            return self._update(self._findings(picture, counts))

    def idle(self, counts: Counts, now_s: float) -> list[Change]:
        """Regularly, at the monotonic time `now_s`: sees damage when no whole picture comes."""
        with self._lock:
            if self._seen:
                self._seen, self._seen_s = False, now_s
            step_s = now_s - self._seen_s
            if step_s < LONGEST_STEP_S:
                return []
            self._time_s, self._seen_s = self._time_s + step_s, now_s
            finding = self._damage.judge(self._time_s, counts)
            return self._update(iter([("corrupt", finding)] if finding else []))

    def interrupt(self, why: str) -> list[Change]:
        """End the connection, and with it all that was told of it."""
        with self._lock:
            for part in (self._frozen, self._damage, self._rate):
                part.reset()
            self._pts_ns = self._looked_s = None
            return [
                Change(kind, False, why, {}, alarm.starts_total)
                for kind, alarm in self._alarms.items()
                if alarm.reset()
            ]

    @property
    def _every_s(self) -> float:
        return self._settings.every_s - 1e-6

    def _findings(self, picture: AnyPicture, counts: Counts) -> Iterator[tuple[Condition, Finding]]:
        time_s, sample = self._time_s, look(picture)
        black = judge_black(sample)
        yield "black", black
        if not black.bad:  # which explains these two
            yield "frozen", self._frozen.judge(sample.grid, time_s, counts.key_frames_total)
            yield "blurred", self._blurred.judge(sample, time_s)
        yield "low_fps", self._rate.judge(time_s, counts.decoded_total, counts.declared_fps)
        damage = self._damage.judge(time_s, counts)
        if damage is not None:
            yield "corrupt", damage
        offset_ns = counts.times.clock_offset_ns
        if offset_ns is not None:
            yield "clock_offset", judge_clock(offset_ns, self._settings.clock_offset_alarm_s)

    def _update(self, findings: Iterator[tuple[Condition, Finding]]) -> list[Change]:
        changes = []
        for kind, finding in findings:
            alarm = self._alarms.get(kind)
            if alarm is None or not alarm.update(finding.bad, self._time_s):
                continue
            reason = finding.why if alarm.active else f"no longer {kind}"
            changes.append(Change(kind, alarm.active, reason, finding.metrics, alarm.starts_total))
        return changes
