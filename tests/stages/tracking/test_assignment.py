"""The matching is the best there is, and overlaps are what they say."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.arrays import F32, I64
from pipeline.core.boxes import iou_matrix
from stages.tracking.assignment import match, match_pairs, overlaps, widened


def _best_gain(gain: F32) -> float:
    """By trying everything: the largest sum over pairs."""
    gains = gain.T if gain.shape[0] > gain.shape[1] else gain
    rows = range(gains.shape[0])
    columns = permutations(range(gains.shape[1]), gains.shape[0])
    return max(sum(float(gains[r, c]) for r, c in zip(rows, cs, strict=True)) for cs in columns)


@st.composite
def gains(draw: st.DrawFn) -> F32:
    rows, cols = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    cell = st.one_of(st.just(0.0), st.floats(0, 1, width=32))
    cells = draw(st.lists(cell, min_size=rows * cols, max_size=rows * cols))
    return np.array(cells, np.float32).reshape(rows, cols)


@given(gains())
def test_match_is_one_to_one_allowed_and_optimal(gain: F32) -> None:
    rows, cols = match(gain)
    assert len(set(rows.tolist())) == len(rows) == len(cols) == len(set(cols.tolist()))
    assert (gain[rows, cols] > 0).all()
    total = float(gain[rows, cols].astype(np.float64).sum())
    assert total == pytest.approx(_best_gain(gain), abs=1e-5)


def test_match_gives_up_a_near_pair_for_a_better_whole() -> None:
    gain = np.array([[0.7, 0.6], [0.6, 0.0]], np.float32)
    rows, cols = match(gain)
    assert sorted(zip(rows.tolist(), cols.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_nothing_matches_nothing() -> None:
    for shape in ((0, 3), (3, 0), (2, 2)):
        rows, cols = match(np.zeros(shape, np.float32))
        assert len(rows) == len(cols) == 0


def test_overlap_counts_heights_twice() -> None:
    box = np.array([[0, 0, 10, 10]], np.float32)
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [0, 5, 10, 15], [20, 0, 30, 10]], np.float32)
    iou, with_height = overlaps(box, others)
    assert iou[0].tolist() == pytest.approx([1, 1 / 3, 1 / 3, 0])
    assert with_height[0].tolist() == pytest.approx([1, 1 / 3, 1 / 9, 0])


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 4), min_size=1, max_size=8))
def test_overlap_is_the_iou_of_the_boxes(corners: list[tuple[int, ...]]) -> None:
    low_high = np.array(corners, np.float32)
    boxes = np.concatenate([low_high[:, :2], low_high[:, :2] + low_high[:, 2:] + 1], axis=1)
    iou, with_height = overlaps(boxes, boxes[::-1])
    np.testing.assert_allclose(iou, iou_matrix(boxes, boxes[::-1]), atol=1e-6)
    assert (with_height <= iou).all()


def test_widened_boxes_grow_on_each_side_by_a_share_of_their_size() -> None:
    wide = widened(np.array([[10, 20, 20, 60]], np.float32), 0.5)
    assert wide.tolist() == [[5, 0, 25, 80]]


def test_gains_are_asked_of_contested_pairs_alone() -> None:
    rows, cols = np.array([0, 1, 1, 3]), np.array([2, 0, 1, 1])
    gain = np.array([0.1, 0.2, 0.9, 0.3], np.float32)
    asked: list[int] = []

    def told(pairs: I64) -> F32:
        asked.extend(pairs.tolist())
        return gain[pairs]

    assert match_pairs(rows, cols, told).tolist() == [0, 2]
    assert asked == [1, 2, 3]
