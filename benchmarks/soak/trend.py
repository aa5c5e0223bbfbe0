"""A slope that single outliers do not move, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True, slots=True)
class Trend:
    """Change per unit of time; with a probability of 95 % the true one is from `low` to `high`."""

    slope: float
    low: float
    high: float


def theil_sen(times: Sequence[float], values: Sequence[float]) -> Trend:
    """The median of the slopes between all pairs of points, for at least 4 points at times that
    differ.

    Sources: H. Theil, 1950; P. K. Sen, "Estimates of the regression coefficient based on Kendall's
    tau", 1968, also for the interval, which takes the points' errors as independent.
    """
    x, y = np.asarray(times, float), np.asarray(values, float)
    first, second = np.triu_indices(len(x), 1)
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    count = len(x)
    spread = NormalDist().inv_cdf(0.975) * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(round((len(slopes) - spread) / 2) - 1, 0)
    high = min(round((len(slopes) + spread) / 2), len(slopes) - 1)
    return Trend(float(np.median(slopes)), float(slopes[low]), float(slopes[high]))


def medians(
    times: Sequence[float], values: Sequence[float], window: float
) -> tuple[list[float], list[float]]:
    """The middle and the median of each window of time that has points. Neighbouring points say
    nearly the same; medians of windows are close to independent, as `theil_sen` wants them."""
    groups: dict[int, list[float]] = {}
    for time, value in zip(times, values, strict=True):
        groups.setdefault(int(time // window), []).append(value)
    middles = [(number + 0.5) * window for number in groups]
    return middles, [float(np.median(group)) for group in groups.values()]
