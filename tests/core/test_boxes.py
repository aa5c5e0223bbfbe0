"""Box arithmetic against its definition, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.arrays import F32
from pipeline.core.boxes import area, iou_matrix

Box = tuple[float, float, float, float]


def _array(*boxes: Box) -> F32:
    return np.array(boxes, np.float32).reshape(-1, 4)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(st.integers(-500, 500)), draw(st.integers(-500, 500))
    return x, y, x + draw(st.integers(1, 500)), y + draw(st.integers(1, 500))


def test_area_of_a_reversed_box_is_zero() -> None:
    assert area(_array((0, 0, 4, 3), (4, 0, 0, 3), (4, 3, 0, 0), (2, 2, 2, 9))).tolist() == [
        12,
        0,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 10, 10), 1.0),
        ((5, 0, 15, 10), 1 / 3),
        ((0, 0, 5, 5), 0.25),
        ((10, 0, 20, 10), 0.0),
        ((3, 3, 3, 3), 0.0),
    ],
)
def test_iou_of_known_pairs(other: Box, expected: float) -> None:
    assert iou_matrix(_array((0, 0, 10, 10)), _array(other)).item() == pytest.approx(expected)


def test_iou_of_two_empty_boxes_is_zero_without_warning() -> None:
    assert iou_matrix(_array((1, 1, 1, 1)), _array((1, 1, 1, 1))).item() == 0


def test_iou_has_the_precision_of_its_boxes() -> None:
    wide = np.array([[0, 0, 3, 1]], np.float64)
    third = np.array([[0, 0, 1, 1]], np.float64)
    assert iou_matrix(wide, third).item() == 1 / 3


def test_iou_of_no_boxes_keeps_its_shape() -> None:
    assert iou_matrix(_array(), _array((0, 0, 1, 1))).shape == (0, 1)
    assert iou_matrix(_array((0, 0, 1, 1)), _array()).shape == (1, 0)


@given(st.lists(boxes(), min_size=1, max_size=6), st.lists(boxes(), min_size=1, max_size=6))
def test_iou_is_symmetric_bounded_and_one_only_for_equals(a: list[Box], b: list[Box]) -> None:
    forward, back = iou_matrix(_array(*a), _array(*b)), iou_matrix(_array(*b), _array(*a))
    np.testing.assert_array_equal(forward, back.T)
    assert forward.dtype == np.float32
    assert ((forward >= 0) & (forward <= 1)).all()
    for row, one in enumerate(a):
        for col, other in enumerate(b):
            assert (forward[row, col] == 1) == (one == other)


@given(boxes(), boxes(), st.integers(-400, 400), st.integers(-400, 400))
def test_iou_does_not_depend_on_where_the_pair_lies(a: Box, b: Box, dx: int, dy: int) -> None:
    shift = np.array([dx, dy, dx, dy], np.float32)
    here, there = iou_matrix(_array(a), _array(b)), iou_matrix(_array(a) + shift, _array(b) + shift)
    assert here.item() == there.item()
