"""Counters over the last seconds."""

from collections import deque
from typing import Final

WINDOW_S: Final = 4.0


class Window:
    """The growth of counters over the last `WINDOW_S`."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, tuple[int, ...]]] = deque()

    def grown(self, time_s: float, *counters: int) -> tuple[float, tuple[int, ...]]:
        """Note what the counters are now -> (seconds looked back, growth of each)."""
        self._past.append((time_s, counters))
        while len(self._past) > 2 and time_s - self._past[1][0] >= WINDOW_S:
            self._past.popleft()
        then_s, then = self._past[0]
        return time_s - then_s, tuple(now - was for now, was in zip(counters, then, strict=True))

    def reset(self) -> None:
        """Forget: the counters begin anew."""
        self._past.clear()
