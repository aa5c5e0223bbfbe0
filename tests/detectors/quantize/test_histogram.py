"""Counting magnitudes in one pass: nothing lost, whatever comes first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.quantize.histogram import BINS, OCTAVES, Histogram
from pipeline.core.arrays import F32


def counted(*arrays: F32) -> Histogram:
    histogram = Histogram()
    for array in arrays:
        histogram.add(array)
    return histogram


def drawn(seed: int, scale: float, count: int = 1000) -> F32:
    return (np.random.default_rng(seed).normal(size=count) * scale).astype(np.float32)


scales = st.floats(1e-6, 1e6)


@given(st.lists(scales, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_order_and_division_of_the_values_do_not_matter(sizes: list[float], rng: object) -> None:
    arrays = [drawn(n, scale) for n, scale in enumerate(sizes)]
    whole = counted(np.concatenate(arrays))
    for order in (arrays, arrays[::-1]):
        parts = counted(*order)
        joint = Histogram.joined(counted(array) for array in order)
        for other in (parts, joint):
            np.testing.assert_array_equal(other.counts, whole.counts)
            assert (other.octave, other.largest) == (whole.octave, whole.largest)


@given(scales, st.integers(0, 100))
def test_every_value_lies_within_the_edges_of_its_bin(scale: float, seed: int) -> None:
    values = drawn(seed, scale)
    histogram = counted(values)
    assert histogram.largest == np.abs(values).max()
    assert histogram.counts.sum() == len(values)
    direct, _ = np.histogram(np.abs(values).astype(np.float64), histogram.edges)
    np.testing.assert_array_equal(histogram.counts, direct)
    filled = histogram.edges[1:][histogram.counts > 0]
    assert histogram.largest <= filled[-1] <= histogram.largest * (1 + 1 / 1024)


@given(scales, st.integers(0, 100))
def test_linear_bins_are_those_of_a_direct_count(scale: float, seed: int) -> None:
    values = drawn(seed, scale)
    counts, width = counted(values).linear()
    assert 1024 <= len(counts) <= 2048
    direct = np.bincount((np.abs(values).astype(np.float64) / width).astype(np.int64))
    np.testing.assert_array_equal(counts, direct)


def test_what_is_far_below_the_largest_counts_as_zero() -> None:
    histogram = counted(np.array([0, 2.0 ** -(OCTAVES + 1), 1], np.float32))
    assert histogram.counts[0] == 2
    assert histogram.counts[-1024] == 1
    assert histogram.counts.shape == (BINS,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no finite numbers"):
        counted(np.array([1, value], np.float32))


def test_memory_does_not_grow() -> None:
    histogram = counted(*(drawn(n, 10.0 ** (n - 6)) for n in range(13)))
    assert histogram.counts.shape == (BINS,)
    assert histogram.counts.sum() == 13_000


def test_an_empty_array_changes_nothing() -> None:
    histogram = counted(np.zeros((0, 3), np.float32))
    assert histogram.counts.sum() == 0
    assert histogram.largest == 0
