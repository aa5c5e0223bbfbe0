"""Pauses between retries."""

import random
from dataclasses import dataclass, field


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
        """Count one more failure -> seconds to wait before the next try."""
        bound = min(self.longest_s, self.first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return bound * (self.least + (1 - self.least) * self.rng.random())

    def succeed(self) -> None:
        """Note a success: the next failure is a first one again."""
        self.failures = 0
