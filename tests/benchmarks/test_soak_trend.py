"""The slope of a soak: right on a line, unmoved by outliers, sure as often as it says."""

import numpy as np
import pytest

from benchmarks.soak.trend import medians, theil_sen


def test_a_line_has_its_slope_and_no_doubt() -> None:
    trend = theil_sen([0, 1, 2, 5, 9], [3, 5, 7, 13, 21])
    assert (trend.slope, trend.low, trend.high) == pytest.approx((2, 2, 2))


def test_outliers_do_not_move_it() -> None:
    times = np.arange(20.0)
    values = 100 + 0.5 * times
    values[[3, 8, 17]] += [500, -80, 900]
    trend = theil_sen(list(times), list(values))
    assert trend.slope == pytest.approx(0.5, abs=0.01)
    assert trend.low <= 0.5 <= trend.high


@pytest.mark.parametrize("points", [10, 20])
def test_the_interval_holds_the_true_slope_nineteen_times_of_twenty(points: int) -> None:
    rng = np.random.default_rng(0)
    times = np.arange(float(points))
    held = 0
    for _ in range(1000):
        trend = theil_sen(list(times), list(0.3 * times + rng.normal(0, 2, points)))
        assert trend.low <= trend.slope <= trend.high
        held += trend.low <= 0.3 <= trend.high
    assert 925 <= held <= 985


def test_medians_are_of_windows_that_have_points() -> None:
    times, values = medians([0, 10, 59, 61, 200], [1, 9, 2, 5, 7], 60)
    assert times == [30, 90, 210]
    assert values == [2, 5, 7]
