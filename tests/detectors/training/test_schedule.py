"""Learning rate, resolution and moving-average decay over a run."""

from collections.abc import Callable
from typing import Any

import pytest

from detectors.training.schedule import Schedule, cosine_lr, ema_decay

Oracle = dict[str, Any]


def test_moving_average_decay_follows_the_original(oracle: Callable[[str], Oracle]) -> None:
    reference = oracle("schedule")
    decays = [ema_decay(int(step), 0.9997) for step in reference["ema/steps"]]
    assert decays == pytest.approx(list(reference["ema/threshold_0.9997"]), rel=1e-12)


def test_cosine_follows_the_original(oracle: Callable[[str], Oracle]) -> None:
    reference = oracle("schedule")
    rates = [cosine_lr(2e-4, int(step), 30_001, 0.1) for step in reference["lr/steps"]]
    wanted = list(reference["lr/cosine_2e-4_final0.1_total30000"])
    assert rates == pytest.approx(wanted, rel=1e-9)


def test_schedule_follows_the_published_one(oracle: Callable[[str], Oracle]) -> None:
    """In pictures: 64 a step, 1000 steps of warm-up from 1e-6, 30,000 after it; their cosine ends
    one step later than ours."""
    reference = oracle("schedule")
    schedule = Schedule(31_000 * 64, 2e-4, 0.1, 1000 * 64, ((0.0, 640),), 1.0, 1e-6)
    after = reference["lr/steps"]
    rates = [schedule.lr_at(64_000 + 64 * int(step)) for step in after]
    assert rates == pytest.approx(list(reference["lr/cosine_2e-4_final0.1_total30000"]), rel=1e-3)
    assert schedule.lr_at(0) == pytest.approx(1e-6, rel=0.01)
    assert schedule.lr_at(32_000) == pytest.approx((1e-6 + 2e-4) / 2, rel=1e-3)


def test_learning_rate_warms_up_then_falls_to_its_final_share() -> None:
    schedule = Schedule(total=1000, lr=1.0, final_lr_share=0.05, warmup=100)
    rates = [schedule.lr_at(seen) for seen in range(0, 1001, 10)]
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == 1.0
    assert schedule.lr_at(1000) == schedule.lr_at(5000) == pytest.approx(0.05)


def test_size_and_calm_follow_progress() -> None:
    schedule = Schedule(total=100, sizes_px=((0.0, 256), (0.6, 320)), calm_from=0.85)
    assert [schedule.size_at(seen) for seen in (0, 59, 60, 100)] == [256, 256, 320, 320]
    assert [schedule.calm_at(seen) for seen in (0, 84, 85, 200)] == [False, False, True, True]
