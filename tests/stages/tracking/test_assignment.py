"""The matching is the best there is, and the rules for similarity hold."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.arrays import F32
from stages.tracking.assignment import match, similarity, widened


def _best_gain(alike: F32, least: float) -> float:
    """By trying everything: the largest sum of `alike - least` over allowed pairs."""
    gains = np.where((alike >= least) & (alike > 0), alike - least, 0.0)
    if gains.shape[0] > gains.shape[1]:
        gains = gains.T
    rows = range(gains.shape[0])
    columns = permutations(range(gains.shape[1]), gains.shape[0])
    return max(sum(float(gains[r, c]) for r, c in zip(rows, cs, strict=True)) for cs in columns)


@st.composite
def similarities(draw: st.DrawFn) -> F32:
    rows, cols = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    cell = st.one_of(st.just(0.0), st.floats(0, 1, width=32))
    cells = draw(st.lists(cell, min_size=rows * cols, max_size=rows * cols))
    return np.array(cells, np.float32).reshape(rows, cols)


@given(similarities(), st.sampled_from([0.0, 0.2, 0.5]))
def test_match_is_one_to_one_allowed_and_optimal(alike: F32, least: float) -> None:
    rows, cols = match(alike, least)
    assert len(set(rows.tolist())) == len(rows) == len(cols) == len(set(cols.tolist()))
    assert (alike[rows, cols] >= np.float32(least)).all()
    gain = float((alike[rows, cols].astype(np.float64) - least).sum())
    assert gain == pytest.approx(_best_gain(alike, least), abs=1e-5)


def test_match_gives_up_a_near_pair_for_a_better_whole() -> None:
    alike = np.array([[0.9, 0.8], [0.8, 0.0]], np.float32)
    rows, cols = match(alike, 0.2)
    assert sorted(zip(rows.tolist(), cols.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_nothing_matches_nothing() -> None:
    for shape in ((0, 3), (3, 0), (2, 2)):
        rows, cols = match(np.zeros(shape, np.float32), 0.2)
        assert len(rows) == len(cols) == 0


def test_another_class_costs_the_penalty() -> None:
    box = np.array([[0, 0, 10, 10]], np.float32)
    one, two = np.array([1], np.int32), np.array([2], np.int32)
    assert similarity(box, one, box, one, 0.3).item() == 1
    assert similarity(box, one, box, two, 0.3).item() == pytest.approx(0.7)
    assert len(match(similarity(box, one, box, two, 1.0), 0.0)[0]) == 0


def test_widened_boxes_grow_on_each_side_by_a_share_of_their_size() -> None:
    wide = widened(np.array([[10, 20, 20, 60]], np.float32), 0.5)
    assert wide.tolist() == [[5, 0, 25, 80]]
