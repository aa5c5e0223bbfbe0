"""Spreads and ratios: what must hold for any figures."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.bench.statistics import difference, percentiles, ratio, spread

VALUES = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=12)


@given(VALUES)
def test_a_spread_is_in_order_and_within_what_was_measured(values: list[float]) -> None:
    found = spread(values)
    assert min(values) <= found.low <= found.middle <= found.high <= max(values)
    assert found.middle == pytest.approx(np.median(values))
    assert spread(values) == found


@given(VALUES, st.floats(0.1, 10))
def test_a_ratio_is_of_each_round_whatever_slowed_a_round_down(
    values: list[float], times: float
) -> None:
    """Rounds differ by up to eight orders of magnitude, and the ratio is sure all the same."""
    found = ratio([times * value for value in values], values)
    assert found.low == pytest.approx(times)
    assert found.high == pytest.approx(times)


@given(VALUES, st.floats(-5, 5))
def test_a_difference_is_of_each_round(values: list[float], more: float) -> None:
    found = difference([value + more for value in values], values)
    assert found.middle == pytest.approx(more, abs=1e-6)


def test_more_rounds_that_agree_make_it_surer() -> None:
    rng = np.random.default_rng(1)
    few, many = (spread(list(rng.normal(100, 10, rounds))) for rounds in (4, 400))
    assert many.high - many.low < (few.high - few.low) / 2


@given(VALUES)
def test_percentiles_are_in_order(values: list[float]) -> None:
    found = percentiles(values)
    assert min(values) <= found["p50"] <= found["p95"] <= found["p99"] <= max(values)


def test_what_is_no_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="one or more"):
        spread([])
    with pytest.raises(ValueError, match="finite"):
        spread([1.0, math.inf])
    with pytest.raises(ValueError, match="rounds differ: 2 and 1"):
        ratio([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="positive"):
        ratio([1.0], [0.0])
    with pytest.raises(ValueError, match="got none"):
        percentiles([])
