"""When to try again, and how often to say so, around a source or a sink; they retry nothing."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

SAY_AGAIN_S: Final = 300.0


@dataclass(slots=True)
class Backoff:
    """Exponential pauses with jitter: the n-th failure in a row waits a random time below
    `min(longest_s, first_s * 2**n)`, but at least `least` of it, so that cameras of one site do
    not come back in step.

    Source: M. Brooker, "Exponential Backoff and Jitter", 2015 ("equal jitter").
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    rng: random.Random = field(default_factory=random.Random)
    failures: int = 0
    least: float = 0.5

    def pause_s(self) -> float:
        """Count one more failure: how long to wait before the next try."""
        bound = min(self.longest_s, self.first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return bound * (self.least + (1 - self.least) * self.rng.random())

    def succeed(self) -> None:
        """It worked: the next failure is a first one again."""
        self.failures = 0


class Repeats:
    """Keeps a fault that comes every second from filling the log: the first of a kind is said, the
    next after `every_s`, with the number of those between."""

    def __init__(
        self, every_s: float = SAY_AGAIN_S, now_s: Callable[[], float] = monotonic
    ) -> None:
        self._every_s, self._now_s = every_s, now_s
        self._said_s: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def note(self, kind: str) -> str | None:
        """None: say nothing this time. Else what to add to the text, mostly nothing."""
        now_s, said_s = self._now_s(), self._said_s.get(kind)
        if said_s is not None and now_s - said_s < self._every_s:
            self._held[kind] = self._held.get(kind, 0) + 1
            return None
        self._said_s[kind] = now_s
        held = self._held.pop(kind, 0)
        return f" ({held} more like it since this was last said)" if held else ""
