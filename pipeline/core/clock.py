"""Time comes in by argument, so that deadlines and reconnects are tested in microseconds."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal, Protocol, Self

SECOND_NS: Final = 1_000_000_000
DEFAULT_PERIOD_NS: Final = SECOND_NS // 25
ClockSource = Literal["rtcp", "container", "file", "arrival"]
"""The origin of a capture time: the camera's sender report, the container's creation time, what is
known of the file (a sidecar, its name, its modification time), or the moment of arrival."""


class Clock(Protocol):
    """The clocks that the pipeline reads time from."""

    def monotonic_s(self) -> float:
        """Seconds that never jump, for deadlines and durations."""

    def utc_ns(self) -> int:
        """Wall clock, nanoseconds since 1970-01-01 UTC, for stamps."""


class SystemClock:
    """The machine's clock."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def utc_ns(self) -> int:
        return time.time_ns()


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment by both clocks: `steady_ns` never jumps, `utc_ns` may be set at any time."""

    steady_ns: int
    utc_ns: int

    @classmethod
    def of(cls, clock: Clock) -> Self:
        """The moment that is now, by `clock`."""
        return cls(round(clock.monotonic_s() * 1e9), clock.utc_ns())


def to_ns(ticks: int, time_base: Fraction) -> int:
    """`ticks` of `time_base` seconds as nanoseconds, rounded down; exact integer arithmetic."""
    return ticks * time_base.numerator * SECOND_NS // time_base.denominator


def period_ns(rate: Fraction | None) -> int:
    """Nanoseconds from one frame to the next at `rate` frames a second, 40 ms if unknown."""
    return round(SECOND_NS / rate) if rate else DEFAULT_PERIOD_NS


def utc_datetime(ns: int) -> datetime:
    """Wall clock nanoseconds as an aware UTC datetime with microseconds."""
    seconds, rest_ns = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)


def utc_text(ns: int) -> str:
    """Wall clock nanoseconds as RFC 3339 in UTC with microseconds, cut off, not rounded, as
    `utc_datetime` does."""
    seconds, rest_ns = divmod(ns, 1_000_000_000)
    return f"{_second_text(seconds)}.{rest_ns // 1000:06d}Z"


@lru_cache(maxsize=64)
def _second_text(seconds: int) -> str:
    """Without a zone. Times of one frame, and of frames of one moment, share their second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:19]
