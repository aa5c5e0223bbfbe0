"""Lines, sides and anchors in a picture whose y points down."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.core.geometry import Line, bottom_centre, side_of

Point = tuple[float, float]
coordinates = st.integers(-1000, 1000)
points = st.tuples(coordinates, coordinates)


def test_a_line_without_length_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"line 'gate': start and end are both \(3, 4\)"):
        Line("gate", (3, 4), (3, 4))


@pytest.mark.parametrize(
    ("end", "right", "left"),
    [
        ((10, 0), (5, 5), (5, -5)),  # to the right of the picture: right is below
        ((0, 10), (-5, 5), (5, 5)),  # downwards: right is at the picture's left
        ((-10, 0), (-5, -5), (-5, 5)),
        ((0, -10), (5, -5), (-5, -5)),
    ],
)
def test_right_of_a_directed_line_is_positive(end: Point, right: Point, left: Point) -> None:
    line = Line("l", (0, 0), end)
    sides = side_of(line, np.array([right, left, end], np.float64))
    assert sides[0] > 0
    assert sides[1] < 0
    assert sides[2] == 0


@given(points, points, points)
def test_turning_the_line_around_swaps_its_sides(start: Point, end: Point, at: Point) -> None:
    assume(start != end)
    point = np.array([at], np.float64)
    there, back = side_of(Line("l", start, end), point), side_of(Line("l", end, start), point)
    assert there.item() == -back.item()


@given(points, points, points)
def test_side_over_length_is_the_distance(start: Point, end: Point, at: Point) -> None:
    assume(start != end)
    line = Line("l", start, end)
    along = np.subtract(end, start)
    foot = np.add(start, along * (np.dot(np.subtract(at, start), along) / np.dot(along, along)))
    distance = abs(side_of(line, np.array([at], np.float64)).item()) / np.hypot(*along)
    assert distance == pytest.approx(np.hypot(*np.subtract(at, foot)), abs=1e-6)


def test_bottom_centre_is_where_the_object_stands() -> None:
    feet = bottom_centre(np.array([[10, 20, 30, 80], [0, 0, 1, 1]], np.float32))
    assert feet.dtype == np.float64
    assert feet.tolist() == [[20, 80], [0.5, 1]]
