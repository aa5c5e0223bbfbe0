"""Where a tensor saturates: each rule against a direct, slow computation on the values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.quantize.clipping import (
    CLIPS_PER_OCTAVE,
    METHODS,
    SEARCHED_OCTAVES,
    Method,
    clip,
    divergences,
    squared_errors,
)
from detectors.quantize.histogram import Histogram
from pipeline.core.arrays import F32, F64, I64

Draw = tuple[str, int, float]
draws = st.tuples(
    st.sampled_from(["normal", "relu", "laplace", "uniform", "outlier"]),
    st.integers(0, 1000),
    st.floats(1e-4, 1e4),
)


def values_of(draw: Draw, count: int = 5_000) -> F32:
    """Values as activations are spread."""
    kind, seed, scale = draw
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=count)
    outlier = np.append(normal[1:], 30 + 20 * rng.random())
    of_kind = {
        "normal": normal,
        "relu": np.maximum(normal, 0),
        "laplace": rng.laplace(size=count),
        "uniform": rng.uniform(-1, 1, count),
        "outlier": outlier,
    }
    return (of_kind[kind] * scale).astype(np.float32)


def counted(values: F32) -> Histogram:
    histogram = Histogram()
    histogram.add(values)
    return histogram


def error_at(values: F32, limit: float) -> float:
    """The squared error of 127 steps up to `limit`, from the values themselves."""
    exact: F64 = values.astype(np.float64)
    step = limit / 127
    return float(np.square(exact - np.rint(exact / step).clip(-127, 127) * step).sum())


@given(draws, st.sampled_from(METHODS))
def test_clip_is_above_zero_and_never_above_the_largest(draw: Draw, method: Method) -> None:
    values = values_of(draw)
    assert 0 < clip(counted(values), method) <= np.abs(values).max()


@given(draws)
def test_max_is_the_largest_magnitude(draw: Draw) -> None:
    values = values_of(draw)
    assert clip(counted(values), "max") == np.abs(values).max()


@given(draws)
def test_percentile_leaves_out_one_value_in_ten_thousand(draw: Draw) -> None:
    values = values_of(draw, 30_000)
    limit = clip(counted(values), "percentile")
    exact = np.percentile(np.abs(values), 99.99, method="inverted_cdf")
    assert exact <= limit <= exact * (1 + 1 / 1024)


@given(draws)
def test_mse_has_the_least_error_of_all_candidates(draw: Draw) -> None:
    values = values_of(draw, 2000)
    largest = float(np.abs(values).max())
    octaves = np.arange(SEARCHED_OCTAVES * CLIPS_PER_OCTAVE + 1) / CLIPS_PER_OCTAVE
    direct = [error_at(values, limit) for limit in largest * np.exp2(-octaves)]
    limit = clip(counted(values), "mse")
    assert error_at(values, limit) <= min(direct) * 1.02


@given(draws)
def test_squared_errors_are_those_of_the_values(draw: Draw) -> None:
    values = values_of(draw, 2000)
    clips = float(np.abs(values).max()) * np.array([1, 0.7, 0.4, 0.1])
    direct = [error_at(values, limit) for limit in clips]
    np.testing.assert_allclose(squared_errors(counted(values), clips), direct, rtol=0.05)


def slow_divergence(counts: I64, kept: int) -> float:
    """As published, step by step: `kept` bins merged into 128 levels and expanded again."""
    bins = counts.astype(np.float64)
    bins[0] = bins[1]
    p = bins[:kept].copy()
    p[-1] += bins[kept:].sum()
    q = np.zeros(kept)
    for level in range(128):
        members = [n for n in range(kept) if n * 128 // kept == level]
        filled = [n for n in members if bins[n] > 0]
        for n in filled:
            q[n] = bins[members].sum() / len(filled)
    if q.sum() == 0 or ((q == 0) & (p > 0)).any():
        return float("inf")
    p, q = p / p.sum(), q / q.sum()
    there = p > 0
    return float((p[there] * np.log(p[there] / q[there])).sum())


@settings(max_examples=15)
@given(draws, st.floats(0, 1))
def test_divergences_are_those_of_the_published_method(draw: Draw, where: float) -> None:
    counts, _ = counted(values_of(draw, 3000)).linear()
    fast = divergences(counts)
    assert len(fast) == len(counts) - 127
    n = round(where * (len(fast) - 1))
    assert fast[n] == pytest.approx(slow_divergence(counts, 128 + n), abs=1e-9)


def test_entropy_takes_the_bins_with_the_least_divergence() -> None:
    histogram = counted(values_of(("relu", 5, 3.0), 50_000))
    counts, width = histogram.linear()
    limit = clip(histogram, "entropy")
    kept = round(limit / width)
    others = [*range(128, len(counts) + 1, 97), kept - 1, kept + 1, len(counts)]
    least = slow_divergence(counts, kept)
    assert limit == pytest.approx(kept * width)
    assert kept < len(counts)
    assert all(least <= slow_divergence(counts, other) + 1e-9 for other in others)


@pytest.mark.parametrize("method", ["percentile", "mse", "entropy"])
def test_one_outlier_does_not_stretch_the_range(method: Method) -> None:
    rng = np.random.default_rng(2)
    values = np.append(np.abs(rng.normal(size=100_000)), 40).astype(np.float32)
    assert 3 < clip(counted(values), method) < 30


@pytest.mark.parametrize("method", METHODS)
def test_a_uniform_range_is_kept(method: Method) -> None:
    values = np.random.default_rng(3).uniform(-4, 4, 100_000).astype(np.float32)
    assert clip(counted(values), method) == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_that_is_always_zero_has_some_range(method: Method) -> None:
    assert clip(counted(np.zeros(10, np.float32)), method) == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_of_one_value_reaches_it(method: Method) -> None:
    assert clip(counted(np.full(1000, 2.5, np.float32)), method) == pytest.approx(2.5, rel=0.01)
