"""What counts as crossing a line, which way, when, and never twice."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.core.geometry import Line
from stages.zones import Crossing, Direction, LineCounter
from tests.stages.zones.walks import FRAME_NS, Point, tracks

GATE = Line("gate", (0, 100), (200, 100))  # to the right: `in` is downwards


def _walk(counter: LineCounter, way: Sequence[Point], track_id: int = 1) -> list[Crossing]:
    return [
        crossing
        for k, point in enumerate(way)
        for crossing in counter.update(tracks({track_id: point}), k * FRAME_NS)
    ]


def _directions(way: Sequence[Point], line: Line = GATE, **settings: Any) -> list[Direction]:
    return [crossing.direction for crossing in _walk(LineCounter(line, **settings), way)]


def _y(*heights: float) -> list[Point]:
    return [(100.0, height) for height in heights]


# Which way, where and when


def test_down_through_a_line_drawn_to_the_right_is_in() -> None:
    assert _directions(_y(50, 90, 110, 150)) == ["in"]
    assert _directions(_y(150, 110, 90, 50)) == ["out"]
    assert _directions(_y(50, 150), Line("turned", (200, 100), (0, 100))) == ["out"]


def test_point_and_time_are_where_the_way_meets_the_line() -> None:
    counter = LineCounter(GATE)
    (crossing,) = _walk(counter, [(50, 60), (70, 140)])
    assert crossing == Crossing(GATE, 1, 0, "in", (60.0, 100.0), FRAME_NS // 2)


def test_the_crossing_is_told_when_it_counts_with_the_time_it_happened() -> None:
    counter = LineCounter(GATE, hysteresis_px=10)
    told = [
        counter.update(tracks({1: point}), k * 100)
        for k, point in enumerate(_y(90, 99, 101, 105, 111))
    ]
    assert [len(crossings) for crossings in told] == [0, 0, 0, 0, 1]
    assert told[-1][0].crossed_ns == 150


def test_the_centre_can_be_the_anchor() -> None:
    way = _y(110, 140)  # the feet are below all the time, the centre goes from 85 to 115
    assert _directions(way) == []
    assert _directions(way, anchor="centre") == ["in"]


# What does not count


def test_passing_beside_the_segment_does_not_count() -> None:
    assert _directions([(201, 50), (201, 150)]) == []
    assert _directions([(-1, 50), (-1, 150)]) == []


def test_around_the_end_and_back_through_the_line_counts_once() -> None:
    around = [(150.0, 50.0), (250, 50), (250, 150), (150, 150), (150, 50)]
    assert _directions(around) == ["out"]


def test_a_crossing_taken_back_beside_the_segment_is_forgotten() -> None:
    assert _directions([(195, 80), (195, 102), (205, 102), (205, 98), (205, 150)]) == []


@pytest.mark.parametrize("x", [0.0, 200.0])
def test_both_ends_belong_to_the_segment(x: float) -> None:
    assert _directions([(x, 50), (x, 150)]) == ["in"]
    assert _directions([(x, 150), (x, 50)]) == ["out"]


def test_walking_along_the_line_does_not_count() -> None:
    along = [(10.0 * k, 100.0) for k in range(20)]
    assert _directions(along) == []
    assert _directions(along, hysteresis_px=0) == []


def test_on_the_line_is_its_right_side() -> None:
    assert _directions(_y(50, 100, 150)) == ["in"]
    assert _directions(_y(150, 100, 150)) == []
    assert _directions(_y(100, 50)) == ["out"]
    assert _directions(_y(50, 100, 50)) == []


def test_predicted_boxes_do_not_cross() -> None:
    counter = LineCounter(GATE)
    counter.update(tracks({1: (100, 50)}), 0)
    predicted = tracks({1: (100, 150)}, detection_index=np.array([-1]))
    assert counter.update(predicted, FRAME_NS) == []
    assert len(counter.update(tracks({1: (100, 160)}), 2 * FRAME_NS)) == 1


def test_a_single_bad_box_is_no_crossing_when_two_must_agree() -> None:
    assert _directions(_y(50, 90, 120, 90, 50)) == ["in", "out"]
    assert _directions(_y(50, 90, 120, 90, 50), confirm_frames=2) == []
    assert _directions(_y(50, 90, 120, 103, 120, 90), confirm_frames=2) == []


def test_two_agreeing_boxes_tell_where_and_when_the_line_was_met() -> None:
    counter = LineCounter(GATE, confirm_frames=2)
    told = [
        counter.update(tracks({1: point}), k * 100) for k, point in enumerate(_y(90, 110, 120, 130))
    ]
    assert [len(crossings) for crossings in told] == [0, 0, 1, 0]
    assert told[2][0].crossed_ns == 50


# Laws

heights = st.floats(0, 200, width=32)
places = st.tuples(st.floats(-50, 250, width=32), heights)
ways = st.lists(places, min_size=2, max_size=15)
lines = st.builds(
    lambda x, y, angle, length: Line(
        "any", (x, y), (x + length * math.cos(angle), y + length * math.sin(angle))
    ),
    st.floats(0, 200), st.floats(0, 200), st.floats(0, 2 * math.pi), st.floats(10, 200),
)  # fmt: skip


def _clear_of(line: Line, point: Point, by_px: float) -> bool:
    (ax, ay), (bx, by) = line.start, line.end
    cross = (bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)
    return abs(cross) / math.hypot(bx - ax, by - ay) > by_px


@given(lines, places, places)
def test_walking_back_swaps_in_and_out(line: Line, start: Point, end: Point) -> None:
    assume(_clear_of(line, start, 5.1) and _clear_of(line, end, 5.1))
    there, back = _directions([start, end], line), _directions([end, start], line)
    swap: dict[Direction, Direction] = {"in": "out", "out": "in"}
    assert back == [swap[direction] for direction in there]


@given(lines, ways)
def test_turning_the_line_swaps_in_and_out(line: Line, way: list[Point]) -> None:
    assume(all(_clear_of(line, point, 0.01) for point in way))
    turned = Line("turned", line.end, line.start)
    swap: dict[Direction, Direction] = {"in": "out", "out": "in"}
    assert _directions(way, turned) == [swap[one] for one in _directions(way, line)]


@given(lines, ways, st.floats(0, 20))
def test_crossings_happen_on_the_segment_within_the_time_walked(
    line: Line, way: list[Point], hysteresis_px: float
) -> None:
    counter = LineCounter(line, hysteresis_px=hysteresis_px)
    direction = np.subtract(line.end, line.start)
    last_ns = 0
    for k, point in enumerate(way):
        for crossing in counter.update(tracks({1: point}), k * FRAME_NS):
            assert last_ns <= crossing.crossed_ns <= k * FRAME_NS
            last_ns = crossing.crossed_ns
            offset = np.subtract(crossing.point, line.start)
            share = float(offset @ direction / (direction @ direction))
            assert -1e-6 <= share <= 1 + 1e-6
            np.testing.assert_allclose(offset, share * direction, atol=1e-3)


@given(st.lists(heights, min_size=2, max_size=40), st.floats(0, 30))
def test_on_an_endless_line_in_and_out_take_turns(
    walked: list[float], hysteresis_px: float
) -> None:
    told = _directions(_y(*walked), hysteresis_px=hysteresis_px)
    assert all(one != following for one, following in pairwise(told))
    assert len(told) <= len(walked) - 1


@given(st.lists(st.floats(-4.75, 4.75, width=32), max_size=60))
def test_trembling_within_the_hysteresis_counts_at_most_once(offsets: list[float]) -> None:
    shaky = [100 + offset for offset in offsets]
    assert _directions(_y(50, *shaky, 50), hysteresis_px=5) == []
    assert _directions(_y(50, *shaky, 150), hysteresis_px=5) == ["in"]
    assert _directions(_y(150, *shaky, 50), hysteresis_px=5) == ["out"]


@given(st.lists(heights, min_size=2, max_size=40), st.integers(2, 4))
def test_a_crossing_that_lasts_counts_the_same_however_many_boxes_must_agree(
    walked: list[float], confirm_frames: int
) -> None:
    lasting = [height for height in walked for _ in range(confirm_frames)]
    assert _directions(_y(*lasting), confirm_frames=confirm_frames) == _directions(_y(*walked))


@given(st.lists(st.tuples(st.floats(-50, 250), st.floats(0, 99)), min_size=1, max_size=20))
def test_without_leaving_its_side_nothing_counts(way: list[Point]) -> None:
    assert _directions(way, hysteresis_px=0) == []


@given(ways, ways)
def test_tracks_are_counted_independently(one: list[Point], other: list[Point]) -> None:
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    both = LineCounter(GATE)
    seen: list[Crossing] = []
    for k in range(length):
        seen += both.update(tracks({3: one[k], 8: other[k]}), k * FRAME_NS)
    assert [c for c in seen if c.track_id == 3] == _walk(LineCounter(GATE), one, track_id=3)
    assert [c for c in seen if c.track_id == 8] == _walk(LineCounter(GATE), other, track_id=8)
    assert sum(both.counts.values()) == len(seen)


# Counts and memory


def test_crossings_of_all_classes_are_counted() -> None:
    counter = LineCounter(GATE)
    classes = np.array([2, 2, 5], np.int32)
    for k, height in enumerate((50, 150)):
        feet = {1: (20.0, height), 2: (60.0, 200.0 - height), 3: (90.0, height)}
        counter.update(tracks(feet, class_id=classes), k * FRAME_NS)
    assert counter.counts == {"in": 2, "out": 1}


def test_counts_given_out_are_copies() -> None:
    counter = LineCounter(GATE)
    _walk(counter, _y(50, 150))
    counter.counts["in"] = 99
    assert counter.counts == {"in": 1, "out": 0}


def test_ended_tracks_are_forgotten() -> None:
    counter = LineCounter(GATE)
    for track_id in range(1, 1000):
        counter.update(tracks({track_id: (100, 50)}, ended=[track_id - 1]), 0)
    assert (len(counter._columns.live), counter._columns.capacity) == (1, 64)


def test_reset_forgets_ways_but_not_counts() -> None:
    counter = LineCounter(GATE)
    _walk(counter, _y(50, 150))
    counter.reset()
    assert _walk(counter, _y(50, 51)) == []
    assert counter.counts == {"in": 1, "out": 0}


@pytest.mark.parametrize("hysteresis_px", [-1, math.nan, math.inf])
def test_senseless_hysteresis_is_refused(hysteresis_px: float) -> None:
    with pytest.raises(ValueError, match=r"line 'gate': hysteresis_px"):
        LineCounter(GATE, hysteresis_px=hysteresis_px)


def test_a_crossing_without_a_box_beyond_is_refused() -> None:
    with pytest.raises(ValueError, match=r"line 'gate': confirm_frames 0 is not >= 1"):
        LineCounter(GATE, confirm_frames=0)


def test_an_unknown_anchor_is_refused() -> None:
    anchor: Any = "head"
    with pytest.raises(ValueError, match="anchor 'head'"):
        LineCounter(GATE, anchor)
