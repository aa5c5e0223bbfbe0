"""The capture times of a camera's pictures: by its sender reports, else by when they arrive."""

from dataclasses import dataclass
from typing import Final

from pipeline.core.clock import DEFAULT_PERIOD_NS, SECOND_NS, ClockSource, Moment
from stages.sources.sender_reports import STEP_NS, SenderReports

TYPICAL_DELAY_NS: Final = SECOND_NS // 10
"""The time from the light to the last byte: exposure, encoder and network of an ordinary camera."""
ARRIVAL_UNCERTAINTY_NS: Final = SECOND_NS // 2
"""Cameras that buffer, and slow networks: hidden in the arrival, so they cannot be measured."""
CLOCK_SANE_NS: Final = 3600 * SECOND_NS
"""A camera further off than this has an unset clock or a wrong time zone."""
LEAST_OVER_NS: Final = 30 * SECOND_NS
SETTLED_AFTER: Final = 3
"""The number of pictures, read no faster than they were taken, after which the backlog is gone."""
STALE_NS: Final = 5 * SECOND_NS
BACKLOG_NS: Final = SECOND_NS // 1000


@dataclass(frozen=True, slots=True)
class Capture:
    """Wall clock of the exposure, how it is known, and how far it may be off."""

    utc_ns: int
    clock: ClockSource
    uncertainty_ns: int


class _Least:
    """The least of the last 30 to 60 s of stream time: delays vary, but only upwards."""

    def __init__(self) -> None:
        self.value_ns: int | None = None
        self._older_ns: int | None = None
        self._newer_ns = self._since_ns = 0

    def add(self, at_ns: int, value_ns: int) -> int:
        """One more value, at stream time `at_ns`: the least one."""
        if self.value_ns is None:
            self._newer_ns, self._since_ns = value_ns, at_ns
        elif at_ns - self._since_ns > LEAST_OVER_NS:
            self._older_ns, self._newer_ns, self._since_ns = self._newer_ns, value_ns, at_ns
        self._newer_ns = min(self._newer_ns, value_ns)
        older_ns = self._newer_ns if self._older_ns is None else self._older_ns
        self.value_ns = min(self._newer_ns, older_ns)
        return self.value_ns


class _Slew:
    """Follows a target by at most half the stream time that goes by; beyond `limit_ns` at once."""

    def __init__(self, limit_ns: int) -> None:
        self._limit_ns = limit_ns
        self._told_ns: int | None = None
        self._at_ns = 0

    def follow(self, at_ns: int, target_ns: int) -> int:
        """What is to be told at stream time `at_ns`."""
        told_ns = self._told_ns
        if told_ns is None or abs(target_ns - told_ns) > self._limit_ns:
            told_ns = target_ns
        else:
            room_ns = max(at_ns - self._at_ns, 0) // 2
            told_ns += max(-room_ns, min(room_ns, target_ns - told_ns))
        self._told_ns, self._at_ns = told_ns, at_ns
        return told_ns


class CaptureClock:
    """Capture times of one connection. Stream times are those of `MediaTime`, wraps unfolded.

    With a sender report, the time is the camera's own (`rtcp`): stream time plus the offset that
    `SenderReports` follows. Without one it is `arrival`: stream time plus the least distance of an
    arrival from it, less a typical delay. The first pictures have waited while FFmpeg looked at the
    stream, for up to the time since `opened`, which is their uncertainty.

    Corrections are slewed: a second of stream time is told as half a second to one and a half, and
    never runs back, until the source of the time changes or a clock is set. Distances to arrivals
    are kept in steady time, so that a wall clock that is set here changes no relation: times by
    arrival follow it at once.
    """

    def __init__(self, opened: Moment, period_ns: int = DEFAULT_PERIOD_NS) -> None:
        self._opened, self._delay_ns = opened, TYPICAL_DELAY_NS + period_ns
        self._reports = SenderReports()
        self._settled = 0
        self._restart()

    def report(self, stamp_ns: int, wall_ns: int) -> None:
        """Note that by a packet stream time `stamp_ns` is `wall_ns` on the camera's clock."""
        steps = self._reports.steps_total
        self._reports.see(stamp_ns, wall_ns)
        if self._reports.steps_total != steps:
            self._off, self._report_slew = _Least(), _Slew(STEP_NS)

    def jump(self, stamp_ns: int, now: Moment) -> None:
        """Note that stream time has jumped to `stamp_ns` -> True if the camera's reports still
        hold."""
        offset_ns, before_ns = self._reports.offset_ns(stamp_ns), self._off.value_ns
        if offset_ns is not None and before_ns is not None:
            off_ns = now.steady_ns - (stamp_ns + offset_ns)
            if abs(off_ns - before_ns) > STALE_NS:
                self._reports.refuse()
        self._restart()

    def capture(self, stamp_ns: int | None, now: Moment) -> Capture:
        """Tell the capture time of a picture with stream time `stamp_ns` (None: not known), decoded
        now."""
        if stamp_ns is None:
            delay_ns, uncertainty_ns = self._delay(now)
            return Capture(now.utc_ns - delay_ns, "arrival", uncertainty_ns)
        by_arrival = self._by_arrival(stamp_ns, now)
        return self._by_report(stamp_ns, now) or by_arrival

    @property
    def offset_ns(self) -> int | None:
        """The camera's clock less ours, less the least delay, which looks like a clock behind.
        None: no report yet, or pictures still come out of a backlog."""
        return self._offset_ns if self._settled >= SETTLED_AFTER else None

    def _restart(self) -> None:
        self._arrivals, self._off = _Least(), _Least()
        self._arrival_slew, self._report_slew = _Slew(STALE_NS), _Slew(STEP_NS)
        self._offset_ns: int | None = None

    def _by_report(self, stamp_ns: int, now: Moment) -> Capture | None:
        offset_ns = self._reports.offset_ns(stamp_ns)
        if offset_ns is None:
            self._offset_ns = None
            return None
        least_ns = self._off.add(stamp_ns, now.steady_ns - stamp_ns - offset_ns)
        off_ns = least_ns + now.utc_ns - now.steady_ns
        self._offset_ns = -off_ns
        if abs(off_ns) > CLOCK_SANE_NS:
            return None
        told_ns = self._report_slew.follow(stamp_ns, offset_ns)
        doubt_ns = self._reports.jitter_ns + abs(told_ns - offset_ns)
        return Capture(stamp_ns + told_ns, "rtcp", abs(off_ns) + doubt_ns)

    def _by_arrival(self, stamp_ns: int, now: Moment) -> Capture:
        before_ns, away_ns = self._arrivals.value_ns, now.steady_ns - stamp_ns
        least_ns = self._arrivals.add(stamp_ns, away_ns)
        if before_ns is not None and away_ns > before_ns - BACKLOG_NS:
            self._settled += 1
        delay_ns, uncertainty_ns = self._delay(now)
        target_ns = least_ns - delay_ns
        told_ns = self._arrival_slew.follow(stamp_ns, target_ns)
        utc_ns = stamp_ns + told_ns + now.utc_ns - now.steady_ns
        return Capture(utc_ns, "arrival", uncertainty_ns + abs(told_ns - target_ns))

    def _delay(self, now: Moment) -> tuple[int, int]:
        """How long ago a picture that arrives now was taken, and how far that may be off, in ns."""
        if self._settled >= SETTLED_AFTER:
            return self._delay_ns, ARRIVAL_UNCERTAINTY_NS
        waited_ns = now.steady_ns - self._opened.steady_ns
        delay_ns = max(self._delay_ns, waited_ns // 2)
        return delay_ns, max(ARRIVAL_UNCERTAINTY_NS, delay_ns)
