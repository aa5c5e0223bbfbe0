"""A camera's clock that is wrong is told, and told again when it is right."""

import numpy as np
import pytest

from stages.base import Counts
from stages.health.clock_offset import judge_clock
from stages.health.finding import Change
from stages.health.watch import HealthWatch, Settings


@pytest.mark.parametrize(
    ("offset_s", "bad", "why"),
    [
        (-0.1, False, "the camera's clock is 0.1 s behind ours"),
        (2.5, True, "the camera's clock is 2.5 s ahead of ours"),
        (-7200, True, "the camera's clock is 7200.0 s behind ours"),
    ],
)
def test_beyond_the_limit_it_is_wrong(offset_s: float, bad: bool, why: str) -> None:
    finding = judge_clock(round(offset_s * 1e9), 2)
    assert (finding.bad, finding.why) == (bad, why)
    assert finding.metrics == {"clock_offset_s": offset_s, "limit_s": 2}


def test_it_is_told_once_and_ends_when_the_clock_is_set() -> None:
    watch = HealthWatch(Settings(conditions=("clock_offset",), clock_offset_alarm_s=1))
    counts = Counts()
    image = np.zeros((32, 32, 3), np.uint8)
    changes: list[tuple[int, Change]] = []
    for second in range(90):
        counts.times.clock_offset_ns = (
            None if second < 10 else 3 * 10**9 if second < 50 else -50_000_000
        )
        changes += [(second, c) for c in watch.observe(image, second * 10**9, counts)]
    assert [(at, change.active) for at, change in changes] == [(20, True), (55, False)]
    assert changes[0][1].reason == "the camera's clock is 3.0 s ahead of ours"
