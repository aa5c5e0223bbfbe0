"""Retry pauses around a source or a sink; they contain none themselves."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Exponential pauses with full jitter: the n-th failure in a row waits a random time below
    `min(longest_s, first_s * 2**n)`, but at least half of it, so that cameras of one site do not
    come back in step.

    Source: M. Brooker, "Exponential Backoff and Jitter", 2015 ("equal jitter").
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    rng: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def pause_s(self) -> float:
        """Count one more failure: how long to wait before the next try."""
        bound = min(self.longest_s, self.first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return bound / 2 + self.rng.uniform(0, bound / 2)

    def succeed(self) -> None:
        """It worked: the next failure is a first one again."""
        self.failures = 0
