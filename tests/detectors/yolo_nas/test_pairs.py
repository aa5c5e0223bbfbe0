"""Near pairs are those that a look at all pairs finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.yolo_nas.pairs import near
from pipeline.core.arrays import F32


def boxes(rng: np.random.Generator, count: int) -> F32:
    """Some are inside out."""
    corners = rng.uniform(0, 60, (count, 2))
    return np.hstack([corners, corners + rng.uniform(-2, 20, (count, 2))]).astype(np.float32)


@given(
    st.integers(0, 10_000), st.integers(0, 25), st.integers(0, 25), st.sampled_from([0.1, 0.5, 3.0])
)
def test_all_that_are_near_are_found_once_by_rising_row(
    seed: int, ours: int, others: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    here, there = boxes(rng, ours), boxes(rng, others)
    row, column = near(here, share, there)
    assert (np.diff(row) >= 0).all()
    found = set(zip(row.tolist(), column.tolist(), strict=True))
    assert len(found) == len(row)
    apart = np.abs((here[:, None, :2] + here[:, None, 2:]) - (there[:, :2] + there[:, 2:])) / 2
    reach = share * (here[:, 2:] - here[:, :2])[:, None].astype(np.float64)
    inside = (apart < reach - 1e-4).all(axis=2)
    about = (apart < reach + 1e-4).all(axis=2)
    assert set(zip(*np.nonzero(inside), strict=True)) <= found
    assert found <= set(zip(*np.nonzero(about), strict=True))


def test_a_middle_at_the_very_reach_is_not_near() -> None:
    here = np.array([[0, 0, 10, 10]], np.float32)
    at = np.array([[5, 0, 15, 10], [0, 5, 10, 15], [4, 4, 14, 14], [-5, 0, 5, 10]], np.float32)
    assert near(here, 0.5, at)[1].tolist() == [2]
