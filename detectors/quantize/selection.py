"""Which layers stay in float: a search that judges few sets, and a choice among those judged.

Pure functions of numbers: what a set costs is measured by whoever calls, in
`detectors.quantize.hybrid`. All sets are of layers *left in float*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

RESOLUTION = 0.01  # of a latency: what repeated measurements of one network differ by
LEAST_COST = 0.002  # of the quantized network's latency: a smaller one is taken for this

Layers = frozenset[str]
Judge = Callable[[Layers], float]
"""Average precision lost, in points, with these layers in float and all others in 8 bits."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Layers that leave 8 bits together.

    `error` is what they add to the error of the outputs when quantized; errors of units add up.
    `cost` is the time that the quantized network takes longer when they alone are in float, as a
    share of its time; below zero where it gets faster.
    """

    name: str
    layers: Layers
    error: float
    cost: float

    @property
    def worth(self) -> float:
        """Error saved per time: what to leave in float first."""
        return self.error / max(self.cost, LEAST_COST)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set of layers left in float, with the points of average precision that it loses against
    the float network and the milliseconds that it takes, both measured."""

    name: str
    left: Layers
    drop: float
    ms: float


def path(units: Iterable[Unit], always: Layers = frozenset()) -> list[Layers]:
    """Growing sets from `always` to all layers: each has what one unit more leaves in float, the
    units of most worth first, equal ones by name."""
    ranked = sorted(units, key=lambda unit: (-unit.worth, unit.name))
    sets = [always]
    for unit in ranked:
        grown = sets[-1] | unit.layers
        if grown != sets[-1]:
            sets.append(grown)
    return sets


def first_within(sets: Sequence[Layers], judge: Judge, max_drop: float) -> Layers:
    """The smallest of growing `sets` that loses at most `max_drop` points, by bisection.

    Judges about log2 of their number. Where losses do not fall along the way there may be a
    smaller one; the one returned was judged and is within, or is the last, which is not judged
    when all others fail.
    """
    low, high = 0, len(sets) - 1
    while low < high:
        middle = (low + high) // 2
        if judge(sets[middle]) <= max_drop:
            high = middle
        else:
            low = middle + 1
    return sets[high]


def trimmed(
    left: Layers, units: Iterable[Unit], judge: Judge, max_drop: float, tries: int
) -> Layers:
    """`left` without the units that it can do without, those of least worth tried first.

    Each of at most `tries` removals is judged, and kept when the loss stays within `max_drop`.
    """
    inside = [unit for unit in units if unit.layers and unit.layers <= left]
    for unit in sorted(inside, key=lambda unit: (unit.worth, unit.name))[:tries]:
        without = left - unit.layers
        if judge(without) <= max_drop:
            left = without
    return left


def choose(candidates: Sequence[Candidate], max_drop: float) -> Candidate:
    """Choose the fastest of the candidates that lose at most `max_drop` points.

    Of those that are as fast, within `RESOLUTION`, the one that loses least, then the one with the
    fewest layers in float. Raises ValueError when none is within.
    """
    within = [candidate for candidate in candidates if candidate.drop <= max_drop]
    if not within:
        raise ValueError(f"no candidate loses at most {max_drop} points")
    least_ms = min(candidate.ms for candidate in within)
    as_fast = [one for one in within if one.ms <= least_ms * (1 + RESOLUTION)]
    return min(as_fast, key=lambda one: (one.drop, len(one.left), one.ms, one.name))


def frontier(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Find the candidates that no other beats in time without losing more, the fastest first."""
    best: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (one.ms, one.drop, one.name)):
        if not best or candidate.drop < best[-1].drop:
            best.append(candidate)
    return best
