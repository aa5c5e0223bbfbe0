"""Media time of decoded pictures: exact nanoseconds, always forward, thinned to a rate."""

from fractions import Fraction

SECOND_NS = 1_000_000_000
DEFAULT_PERIOD_NS = SECOND_NS // 25
STEP_WEIGHT = 1 / 8  # of the newest step in the average: of jitter, an eighth is left


def to_ns(ticks: int, time_base: Fraction) -> int:
    """`ticks` of `time_base` seconds as nanoseconds, rounded down; exact integer arithmetic."""
    return ticks * time_base.numerator * SECOND_NS // time_base.denominator


def period_ns(rate: Fraction | None) -> int:
    """Nanoseconds from one frame to the next at `rate` frames a second, 40 ms if unknown."""
    return round(SECOND_NS / rate) if rate else DEFAULT_PERIOD_NS


class MediaTime:
    """Turns the timestamps of one stream into times that increase strictly.

    A missing timestamp, or one that does not move forward, becomes the time before it plus the
    duration of a frame: trackers and rates must never see time stand still or run back.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = max(period_ns, 1)
        self._last_ns: int | None = None
        self.repaired_total = 0

    def next(self, ns: int | None, duration_ns: int = 0) -> int:
        """Time of the next picture, given its own timestamp (None: it has none) and how long the
        stream says it lasts (0: not said)."""
        last = self._last_ns
        if last is None:
            time_ns = 0 if ns is None else ns
        elif ns is None or ns <= last:
            time_ns = last + (duration_ns or self._period_ns)
            self.repaired_total += 1
        else:
            time_ns = ns
        self._last_ns = time_ns
        return time_ns


class Thinner:
    """Chooses which pictures to keep so that no more than `fps` of them pass per second of media.

    Moments 1/fps apart are due, and the picture nearest to each is kept: nearest, because cameras
    jitter, and a stream at exactly `fps` must pass whole.
    """

    def __init__(self, fps: float | None) -> None:
        if fps is not None and not fps > 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        self._period_ns = round(SECOND_NS / fps) if fps else 0
        self._due_ns: int | None = None
        self._last_ns = 0
        self._step_ns: int | None = None  # of the stream, on average: one step jitters

    def keep(self, pts_ns: int) -> bool:
        """Is the picture at `pts_ns` kept? Ask once per picture, in order."""
        if self._due_ns is None:
            self._due_ns, self._last_ns = pts_ns + self._period_ns, pts_ns
            return True
        near_ns = min(self._average_step_ns(pts_ns - self._last_ns), self._period_ns) // 2
        self._last_ns = pts_ns
        if pts_ns + near_ns < self._due_ns:
            return False
        self._due_ns = max(self._due_ns, pts_ns - near_ns) + self._period_ns
        return True

    def _average_step_ns(self, step_ns: int) -> int:
        """The stream's step, after one more."""
        step_ns = min(step_ns, 2 * self._period_ns)
        if self._step_ns is None:  # one step is no average: it only tells a much faster stream
            self._step_ns = step_ns if 2 * step_ns < self._period_ns else self._period_ns
        self._step_ns += round((step_ns - self._step_ns) * STEP_WEIGHT)
        return self._step_ns
