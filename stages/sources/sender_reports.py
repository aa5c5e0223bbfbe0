"""A camera's sender reports as one steady relation between stream time and its wall clock."""

from typing import Final

from pipeline.core.clock import SECOND_NS

SAME_REPORT_NS: Final = 20_000
"""Two packets show one report: their times are rounded to ticks of 11 µs and to whole µs."""
STEP_NS: Final = SECOND_NS // 2
"""A report that is off by more is no jitter: the camera's clock was set."""
MOST_UNSURE: Final = 3
JITTER_S: Final = 0.010
"""Standard deviation of one report, as expected of software that reads a clock late."""
WANDER_S2_PER_S: Final = 1e-6
"""Variance that the relation gains in a second: a camera's clock is disciplined by its own NTP."""
DRIFT_S: Final = 200e-6
"""Standard deviation of the difference between two clocks' rates, before any is known."""
DRIFT_WANDER_PER_S: Final = 1e-12


class ReportFilter:
    """Offset of the camera's wall clock from stream time, from noisy reports of it.

    A Kalman filter of two states, offset and drift. Source: R. E. Kalman, "A New Approach to Linear
    Filtering and Prediction Problems", 1960; the model of a clock is that of C. Zucca and
    P. Tavella, "The Clock Model and Its Relationship with the Allan and Related Variances", 2005.
    """

    def __init__(self, stamp_ns: int, offset_ns: int) -> None:
        self._base_ns, self._at_ns = offset_ns, stamp_ns
        self._off_s = self._drift = 0.0
        self._var, self._cov, self._drift_var = JITTER_S**2, 0.0, DRIFT_S**2

    def offset_ns(self, stamp_ns: int) -> int:
        """Wall clock less stream time, at stream time `stamp_ns`."""
        ahead_s = (stamp_ns - self._at_ns) / SECOND_NS
        return self._base_ns + round((self._off_s + self._drift * ahead_s) * SECOND_NS)

    def learn(self, stamp_ns: int, offset_ns: int) -> None:
        """Learn of one more report, at stream time `stamp_ns`."""
        error_s = (offset_ns - self.offset_ns(stamp_ns)) / SECOND_NS
        step_s = max(stamp_ns - self._at_ns, 0) / SECOND_NS
        self._off_s += self._drift * (stamp_ns - self._at_ns) / SECOND_NS
        self._at_ns = stamp_ns
        self._var += step_s * (2 * self._cov + step_s * self._drift_var + WANDER_S2_PER_S)
        self._cov += step_s * self._drift_var
        self._drift_var += step_s * DRIFT_WANDER_PER_S
        total = self._var + JITTER_S**2
        gain, drift_gain = self._var / total, self._cov / total
        self._off_s += gain * error_s
        self._drift += drift_gain * error_s
        self._drift_var -= drift_gain * self._cov
        self._cov *= 1 - gain
        self._var *= 1 - gain


class SenderReports:
    """The camera's wall clock by what packets say of it, over one connection.

    FFmpeg writes on each packet, as producer reference time, what the last report makes of its
    timestamp: 0.6 to 6 s after connecting at first. So the offset from stream time is the same from
    one report to the next, but for the very first packet: it holds what belongs to the one behind
    it. Hence an offset counts once two packets agree on it, or one agrees with what is known.
    """

    def __init__(self) -> None:
        self._filter: ReportFilter | None = None
        self._seen_ns: int | None = None
        self._learned_ns: int | None = None
        self._unsure = 0
        self._refused_ns: int | None = None
        self.jitter_ns = 0
        """How far the last report was from what was expected of it."""
        self.steps_total = 0
        """How often the camera's clock was set to another time."""

    def offset_ns(self, stamp_ns: int) -> int | None:
        """Camera's wall clock less stream time, at stream time `stamp_ns`; None: not known."""
        return None if self._filter is None else self._filter.offset_ns(stamp_ns)

    def see(self, stamp_ns: int, wall_ns: int) -> None:
        """A packet says: stream time `stamp_ns` is `wall_ns` by the camera's clock."""
        offset_ns = wall_ns - stamp_ns
        before_ns, self._seen_ns = self._seen_ns, offset_ns
        if _same(offset_ns, self._learned_ns) or _same(offset_ns, self._refused_ns):
            self._unsure = 0
            return
        expected_ns = self.offset_ns(stamp_ns)
        near = expected_ns is not None and abs(offset_ns - expected_ns) < 2 * JITTER_S * SECOND_NS
        self._unsure += 1
        if near or _same(offset_ns, before_ns) or self._unsure >= MOST_UNSURE:
            self._learn(stamp_ns, offset_ns, expected_ns)

    def refuse(self) -> None:
        """Stream time has jumped away from the last report: nothing is known until the next."""
        self._refused_ns = self._seen_ns
        self._filter = self._learned_ns = None

    def _learn(self, stamp_ns: int, offset_ns: int, expected_ns: int | None) -> None:
        self._unsure, self._learned_ns, self._refused_ns = 0, offset_ns, None
        self.jitter_ns = abs(offset_ns - expected_ns) if expected_ns is not None else 0
        if self._filter is None:
            self._filter = ReportFilter(stamp_ns, offset_ns)
        elif self.jitter_ns > STEP_NS:
            self.steps_total += 1
            self.jitter_ns = 0
            self._filter = ReportFilter(stamp_ns, offset_ns)
        else:
            self._filter.learn(stamp_ns, offset_ns)


def _same(a_ns: int, b_ns: int | None) -> bool:
    return b_ns is not None and abs(a_ns - b_ns) <= SAME_REPORT_NS
