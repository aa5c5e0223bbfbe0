"""How long networks take beside each other on a machine that does other things too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.core.arrays import F64

LEAST_ROUNDS, MOST_ROUNDS = 8, 60

Run = Callable[[], object]
Clock = Callable[[], float]


def interleaved(runs: Sequence[Run], budget_s: float, clock: Clock = time.perf_counter) -> F64:
    """(rounds, runs) seconds: each round calls every one of `runs` once, after two that are not
    counted.

    So many rounds as fit into `budget_s`, at least `LEAST_ROUNDS` and at most `MOST_ROUNDS`. What
    slows the machine down for a while slows all runs of these rounds.
    """
    _round(runs, clock)
    once_s = float(_round(runs, clock).sum())
    rounds = int(np.clip(budget_s / max(once_s, 1e-9), LEAST_ROUNDS, MOST_ROUNDS))
    return np.stack([_round(runs, clock) for _ in range(rounds)])


def _round(runs: Sequence[Run], clock: Clock) -> F64:
    took = np.empty(len(runs))
    for n, run in enumerate(runs):
        start = clock()
        run()
        took[n] = clock() - start
    return took


def quick_s(seconds: F64) -> F64:
    """(runs,) seconds: the mean of the fastest quarter of the rounds of each, as what interrupts a
    run only ever adds time."""
    quick: F64 = np.sort(seconds, axis=0)[: max(len(seconds) // 4, 1)].mean(axis=0)
    return quick
