"""Timing by a scripted clock: what is reported is what runs take, not what interrupts them."""

import numpy as np
import pytest

from detectors.quantize.latency import (
    LEAST_ROUNDS,
    MOST_ROUNDS,
    interleaved,
    quick_s,
)


class Machine:
    """Time passes only when something runs."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.order: list[str] = []

    def clock(self) -> float:
        return self.now_s

    def spend(self, name: str, seconds: float) -> None:
        self.order.append(name)
        self.now_s += seconds


def test_runs_take_turns_and_the_budget_is_kept() -> None:
    machine = Machine()
    runs = [lambda: machine.spend("a", 0.010), lambda: machine.spend("b", 0.015)]
    seconds = interleaved(runs, 0.5, machine.clock)
    assert seconds.shape == (20, 2)
    assert machine.order == ["a", "b"] * 22
    assert seconds == pytest.approx(np.tile([0.010, 0.015], (20, 1)))


@pytest.mark.parametrize(("each_s", "rounds"), [(10.0, LEAST_ROUNDS), (1e-6, MOST_ROUNDS)])
def test_rounds_have_bounds(each_s: float, rounds: int) -> None:
    machine = Machine()
    assert len(interleaved([lambda: machine.spend("a", each_s)], 1.0, machine.clock)) == rounds


def test_a_clock_that_stands_still_is_no_error() -> None:
    seconds = interleaved([lambda: None, lambda: None], 1.0, lambda: 0.0)
    assert seconds.shape == (MOST_ROUNDS, 2)
    assert not quick_s(seconds).any()


def test_interruptions_do_not_count() -> None:
    rng = np.random.default_rng(3)
    true_s = np.array([0.0050, 0.0052, 0.0049])
    noise = rng.exponential(0.004, (40, 3)) * (rng.random((40, 3)) < 0.6)
    seconds = true_s * rng.normal(1, 0.002, (40, 3)) + noise
    assert quick_s(seconds) == pytest.approx(true_s, rel=0.005)
