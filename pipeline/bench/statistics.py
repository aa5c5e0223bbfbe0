"""What can be said of figures that were measured several times, on a machine that is never quiet.

Cases take turns in every round, so whatever slows one round down slows all its cases: figures are
compared within a round, and the ratios of all rounds together say how sure that is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure and how far it is sure: `low <= middle <= high`."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f})"


def spread(values: Sequence[float]) -> Spread:
    """The median of one value or more, and the interval that holds the medians of 95 % of the
    samples drawn from them with replacement (percentile bootstrap; Efron 1979). The draws are the
    same at every call. One value is its own interval. Raises ValueError for none, and for values
    that are not finite."""
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise ValueError(f"values must be finite and one or more, got {values!r:.80}")
    draws = np.random.default_rng(0).integers(0, found.size, (RESAMPLES, found.size))
    medians = np.median(found[draws], axis=1)
    edge = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians, (edge, 1 - edge))
    middle = float(np.median(found))
    return Spread(middle, min(float(low), middle), max(float(high), middle))


def ratio(above: Sequence[float], below: Sequence[float]) -> Spread:
    """How many times `below` the values `above` are, round by round: both in order of rounds.

    Raises ValueError where they differ in length, and for a value of `below` that is not positive.
    """
    if len(above) != len(below):
        raise ValueError(f"rounds differ: {len(above)} and {len(below)}")
    if min(below, default=0.0) <= 0:
        raise ValueError(f"values below must be positive, got {below!r:.80}")
    return spread([a / b for a, b in zip(above, below, strict=True)])


def difference(above: Sequence[float], below: Sequence[float]) -> Spread:
    """How much more `above` is than `below`, round by round. Raises ValueError as `ratio`."""
    if len(above) != len(below):
        raise ValueError(f"rounds differ: {len(above)} and {len(below)}")
    return spread([a - b for a, b in zip(above, below, strict=True)])


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """`p50`, `p95` and `p99` of one value or more. Raises ValueError for none."""
    if not len(values):
        raise ValueError("values must be one or more, got none")
    found = np.quantile(np.asarray(values, np.float64), (0.50, 0.95, 0.99))
    return dict(zip(("p50", "p95", "p99"), map(float, found), strict=True))
