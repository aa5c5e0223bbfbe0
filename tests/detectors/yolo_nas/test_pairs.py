"""Near pairs are those that a look at all pairs finds."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.yolo_nas.pairs import FEW_PAIRS, near, near_along_x
from pipeline.core.arrays import F32, I64


def boxes(rng: np.random.Generator, count: int) -> F32:
    """Some are inside out."""
    corners = rng.uniform(0, 60, (count, 2))
    return np.hstack([corners, corners + rng.uniform(-2, 20, (count, 2))]).astype(np.float32)


@pytest.mark.parametrize("find", [near, near_along_x])
@given(
    st.integers(0, 10_000), st.integers(0, 25), st.integers(0, 25), st.sampled_from([0.1, 0.5, 3.0])
)
def test_all_that_are_near_are_found_once_by_rising_row(
    find: Callable[[F32, float, F32], tuple[I64, I64]],
    seed: int, ours: int, others: int, share: float,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    here, there = boxes(rng, ours), boxes(rng, others)
    row, column = find(here, share, there)
    assert (np.diff(row) >= 0).all()
    found = set(zip(row.tolist(), column.tolist(), strict=True))
    assert len(found) == len(row)
    apart = np.abs((here[:, None, :2] + here[:, None, 2:]) - (there[:, :2] + there[:, 2:])) / 2
    reach = share * (here[:, 2:] - here[:, :2])[:, None].astype(np.float64)
    inside = (apart < reach - 1e-4).all(axis=2)
    about = (apart < reach + 1e-4).all(axis=2)
    assert set(zip(*np.nonzero(inside), strict=True)) <= found
    assert found <= set(zip(*np.nonzero(about), strict=True))


@pytest.mark.parametrize(("ours", "others"), [(3, 90), (90, 90)])
def test_both_ways_find_the_same(ours: int, others: int) -> None:
    assert (ours * others <= FEW_PAIRS) == (ours == 3)
    rng = np.random.default_rng(ours)
    here, there = boxes(rng, ours), boxes(rng, others)
    there[::9] = np.nan
    found, along_x = (
        set(zip(*(places.tolist() for places in find(here, 0.5, there)), strict=True))
        for find in (near, near_along_x)
    )
    assert found == along_x != set()


def test_a_middle_at_the_very_reach_is_not_near() -> None:
    here = np.array([[0, 0, 10, 10]], np.float32)
    at = np.array([[5, 0, 15, 10], [0, 5, 10, 15], [4, 4, 14, 14], [-5, 0, 5, 10]], np.float32)
    for find in (near, near_along_x):
        assert find(here, 0.5, at)[1].tolist() == [2]
