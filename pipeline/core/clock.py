"""Time comes in by argument, so that deadlines and reconnects are tested in microseconds."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, Protocol, Self

ClockSource = Literal["rtcp", "container", "file", "arrival"]
"""Where a capture time comes from: the camera's sender report, the container's creation time, what
is known of the file (a sidecar, its name, its modification time), or the moment of arrival."""


class Clock(Protocol):
    """What the pipeline reads time from."""

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
    """Now, by both clocks: `steady_ns` never jumps, `utc_ns` may be set at any time."""

    steady_ns: int
    utc_ns: int

    @classmethod
    def of(cls, clock: Clock) -> Self:
        """Now, by `clock`."""
        return cls(round(clock.monotonic_s() * 1e9), clock.utc_ns())


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
