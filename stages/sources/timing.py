"""Media time of decoded pictures: exact nanoseconds, forward in an epoch, thinned to a rate."""

from dataclasses import dataclass
from typing import Final

from pipeline.core.clock import SECOND_NS
from stages.base import LARGEST_STEP_BACK_NS, Times

STEP_WEIGHT = 1 / 8  # of the newest step in the average: of jitter, an eighth is left
LONGEST_LIVE_GAP_NS: Final = 10 * SECOND_NS
LONGEST_FILE_GAP_NS: Final = 3600 * SECOND_NS
"""A recording may well have been made of moving scenes only."""
WRAP_WITHIN_NS: Final = 60 * SECOND_NS
"""The distance around a wrap within which a timestamp is taken for one behind it."""
WRAPS_NS: Final = (
    2**33 * SECOND_NS // 90_000,  # MPEG-TS, 26.5 hours
    2**32 * SECOND_NS // 90_000,  # RTP, 13.3 hours
    2**32 * SECOND_NS // 1000,  # FLV, 49.7 days
)


@dataclass(frozen=True, slots=True)
class MediaStamp:
    """The media time at which a picture is shown.

    - `pts_ns` ascends strictly until `jumps` grows: that is where an epoch ends.
    - `elapsed_ns` since the stream's start; it goes on over jumps.
    - `jumps`: how often the stream's time has jumped so far.
    - `known`: the time is the stream's own, and not made up.
    """

    pts_ns: int
    elapsed_ns: int
    jumps: int
    known: bool


class MediaTime:
    """Turns the timestamps of one stream into times that trackers and rates can live with.

    - Counters of 32 and 33 bits wrap: the time goes on as if they had more.
    - A timestamp that is missing, repeated, or steps back by less than `LARGEST_STEP_BACK_NS` is
      repaired: the time before it plus the duration of a frame.
    - A larger step back, or one forward over more than `longest_gap_ns`, is repaired too; if the
      next picture goes on from there, it is a jump. A lone wrong timestamp is none.

    All three are counted in `times`. `start_ns` is where the stream begins, by default at its first
    picture.
    """

    def __init__(
        self,
        period_ns: int,
        longest_gap_ns: int = LONGEST_FILE_GAP_NS,
        times: Times | None = None,
        start_ns: int | None = None,
    ) -> None:
        self.times = times or Times()
        self._period_ns = max(period_ns, 1)
        self._longest_gap_ns = longest_gap_ns
        self._last_ns: int | None = None
        self._start_ns, self._elapsed_ns = start_ns, 0
        self._wrapped_ns = 0
        self._suspect_ns: int | None = None
        self._synced = False

    def next(self, ns: int | None, duration_ns: int = 0) -> MediaStamp:
        """Time of the next picture, given its own timestamp (None: it has none) and how long the
        stream says it lasts (0: not said)."""
        step_ns = duration_ns if duration_ns > 0 else self._period_ns
        if ns is not None:
            ns = self._follow_wraps(ns)
        if self._last_ns is None:
            self._last_ns, self._synced = ns or 0, ns is not None
            if ns is not None and self._start_ns is not None:
                self._elapsed_ns = ns - self._start_ns
            return self._stamp(known=self._synced)
        if ns is None or not self._goes_on(ns):
            jumped = ns is not None and self._jumped(ns)
            self._elapsed_ns += step_ns
            if ns is None or not jumped:
                self.times.repaired_total += 1
                self._last_ns += step_ns
                return self._stamp(known=False)
            self.times.jumps_total += 1
        else:
            self._elapsed_ns += ns - self._last_ns
        self._last_ns, self._suspect_ns, self._synced = ns, None, True
        return self._stamp(known=True)

    def unwrapped(self, ns: int) -> int:
        """A timestamp of the stream, such as a packet's, as the pictures near it are counted."""
        return ns + self._wrapped_ns + self._turn(ns)

    def _stamp(self, *, known: bool) -> MediaStamp:
        assert self._last_ns is not None
        return MediaStamp(self._last_ns, self._elapsed_ns, self.times.jumps_total, known)

    def _follow_wraps(self, ns: int) -> int:
        turn_ns = self._turn(ns)
        if turn_ns > 0:
            self._wrapped_ns += turn_ns
            self.times.wraps_total += 1
            return ns + self._wrapped_ns
        return ns + self._wrapped_ns + turn_ns

    def _turn(self, ns: int) -> int:
        """What a counter that wrapped between the last picture and `ns` has left out; negative for
        a timestamp from before a wrap that was followed."""
        if self._last_ns is None or not self._synced:
            return 0
        step_ns = ns + self._wrapped_ns - self._last_ns
        for turn_ns in WRAPS_NS:
            if abs(step_ns + turn_ns) < WRAP_WITHIN_NS:
                return turn_ns
            if self._wrapped_ns >= turn_ns and abs(step_ns - turn_ns) < WRAP_WITHIN_NS:
                return -turn_ns
        return 0

    def _goes_on(self, ns: int) -> bool:
        assert self._last_ns is not None
        step_ns = ns - self._last_ns
        return step_ns > 0 and (step_ns <= self._longest_gap_ns or not self._synced)

    def _jumped(self, ns: int) -> bool:
        """Is this the second picture of a time that does not go on from the one before?"""
        assert self._last_ns is not None
        if self._synced and -LARGEST_STEP_BACK_NS < ns - self._last_ns <= 0:
            return False
        suspect_ns, self._suspect_ns = self._suspect_ns, ns
        return suspect_ns is not None and 0 < ns - suspect_ns <= self._longest_gap_ns


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
        """Offer the picture at `pts_ns` -> True if it is kept. Once per picture, in order."""
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
