"""Who crossed the line: directions, the segment's ends, and scenes as a whole."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.sources.street import Crossing, StreetScene, Truth, crossings
from stages.sources.street.truth import PictureLine
from stages.sources.street.views import View

ACROSS: PictureLine = ((10.0, 50.0), (90.0, 50.0))
spots = st.tuples(st.integers(0, 100), st.integers(1, 100))


def walk(points: list[tuple[float, float]]) -> list[Truth]:
    """One object, its bottom centre at each point in turn."""
    return [
        Truth(
            frame=frame,
            track_id=np.array([7], dtype=np.int64),
            class_id=np.array([1], dtype=np.int32),
            xyxy=np.array([[x - 2, y - 9, x + 2, y]], dtype=np.float64),
            visibility=np.ones(1),
            ignore=np.zeros(1, dtype=np.bool_),
        )
        for frame, (x, y) in enumerate(points)
    ]


def test_downwards_over_a_line_drawn_to_the_right_is_in() -> None:
    assert crossings(walk([(50, 40), (50, 60)]), ACROSS) == [Crossing(1, 7, 1, "in")]
    assert crossings(walk([(50, 60), (50, 40)]), ACROSS) == [Crossing(1, 7, 1, "out")]


def test_past_the_end_of_the_segment_is_no_crossing() -> None:
    assert crossings(walk([(95, 40), (95, 60)]), ACROSS) == []


def test_a_foot_that_swings_over_the_line_is_no_crossing() -> None:
    bottoms = (40, 52, 48, 53, 60, 54)
    assert crossings(walk([(50, y) for y in bottoms]), ACROSS) == [Crossing(4, 7, 1, "in")]


def test_standing_on_the_line_is_no_crossing_until_it_is_left_on_the_other_side() -> None:
    assert crossings(walk([(50, 40), (50, 50), (50, 40)]), ACROSS) == []
    assert crossings(walk([(50, 40), (50, 50), (50, 60)]), ACROSS) == [Crossing(2, 7, 1, "in")]


@given(st.lists(spots, min_size=2, max_size=12), spots, spots)
def test_turning_the_line_round_swaps_directions(
    points: list[tuple[float, float]], a: tuple[int, int], b: tuple[int, int]
) -> None:
    if a == b:
        return
    swap = {"in": "out", "out": "in"}
    there, back = crossings(walk(points), (a, b)), crossings(walk(points), (b, a))
    assert [(c.frame, swap[c.direction]) for c in there] == [(c.frame, c.direction) for c in back]


@given(st.lists(st.tuples(st.integers(11, 89), st.integers(1, 100)), min_size=2, max_size=12))
def test_over_a_line_across_everything_directions_take_turns(points: list[tuple[int, int]]) -> None:
    line = ((-1e4, 50.5), (1e4, 50.5))
    ways = [c.direction for c in crossings(walk([*points]), line, margin_px=0)]
    assert all(one != other for one, other in pairwise(ways))
    assert ways.count("in") - ways.count("out") == (points[-1][1] > 50) - (points[0][1] > 50)


@pytest.mark.parametrize("view", ["highway", "overhead", "corridor"])
def test_a_scene_counts_each_object_about_once(view: View) -> None:
    scene = StreetScene(4, 320, 180, fps=3, frames=30, view=view)
    found = scene.crossings(scene.default_line)
    assert found
    assert {c.direction for c in found} <= {"in", "out"}
    assert len(found) <= 1.3 * len({c.track_id for c in found})
    (ax, ay), (bx, by) = scene.default_line
    turned = scene.crossings(((bx, by), (ax, ay)))
    assert [c.direction for c in turned] == ["out" if c.direction == "in" else "in" for c in found]


def test_a_scene_without_end_has_no_list_of_crossings() -> None:
    scene = StreetScene(4, 320, 180, frames=None)
    with pytest.raises(ValueError, match="without end"):
        scene.crossings(scene.default_line)
