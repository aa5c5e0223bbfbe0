"""Time comes in by argument, so that deadlines and reconnects are tested in microseconds."""

import time
from datetime import UTC, datetime
from typing import Literal, Protocol

ClockSource = Literal["rtcp", "container", "file", "arrival"]
"""Where a capture time comes from: the camera's sender report, the container's creation time,
the file's modification time, or the moment of arrival."""


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


def utc_datetime(ns: int) -> datetime:
    """Wall clock nanoseconds as an aware UTC datetime with microseconds."""
    seconds, rest_ns = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
