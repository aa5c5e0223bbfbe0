"""Lines with bends: which side, what is met, and the same laws as for straight ones."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.core.geometry import Line
from stages.zones import Crossing, LineCounter
from stages.zones.polyline import Polylines
from tests.stages.zones.walks import FRAME_NS, Point, tracks

CORNER = Line("corner", (0, 100), (100, 200), via=((100, 100),))  # right, then down
SQUARE = Line("square", (50, 50), (50, 50), via=((150, 50), (150, 150), (50, 150)))


def _walk(line: Line, way: list[Point], **settings: float) -> list[Crossing]:
    counter = LineCounter(line, hysteresis_px=settings.get("hysteresis_px", 5.0))
    return [c for k, at in enumerate(way) for c in counter.update(tracks({1: at}), k * FRAME_NS)]


def _directions(line: Line, way: list[Point], **settings: float) -> list[str]:
    return [crossing.direction for crossing in _walk(line, way, **settings)]


def test_both_legs_count_the_same_way() -> None:
    assert _directions(CORNER, [(50, 80), (50, 120)]) == ["in"]
    assert _directions(CORNER, [(120, 150), (80, 150)]) == ["in"]
    assert _directions(CORNER, [(80, 150), (120, 150)]) == ["out"]


def test_cutting_the_corner_there_and_back_in_one_step_is_nothing() -> None:
    assert _directions(CORNER, [(95, 80), (120, 105)]) == []  # outside all the way
    assert _directions(CORNER, [(80, 95), (110, 125)]) == []  # in through one leg, out of the other


def test_through_the_corner_itself_counts_once() -> None:
    assert _directions(CORNER, [(120, 80), (80, 120)]) == ["in"]


def test_beyond_its_ends_a_line_is_not_met() -> None:
    assert _directions(CORNER, [(-20, 80), (-20, 120)]) == []
    assert _directions(CORNER, [(120, 220), (80, 220)]) == []


def test_a_closed_line_counts_who_goes_in_and_out() -> None:
    assert _directions(SQUARE, [(20, 100), (100, 100), (180, 100)]) == ["in", "out"]
    assert _directions(SQUARE, [(20, 100), (180, 100)]) == []  # through it in one step


def test_several_lines_at_once_give_what_each_gives_alone() -> None:
    straight = Line("straight", (10, 20), (200, 150))
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-50, 250, (2, 1, 200))
    together = Polylines([straight, CORNER, SQUARE]).distances_px(x, y)
    for row, line in enumerate((straight, CORNER, SQUARE)):
        np.testing.assert_allclose(together[row], Polylines([line]).distances_px(x, y)[0])


places = st.tuples(st.floats(-50, 250, width=32), st.floats(-50, 250, width=32))
bends = st.lists(places, min_size=2, max_size=5, unique=True)


def _line(points: list[Point]) -> Line:
    return Line("any", points[0], points[-1], tuple(points[1:-1]))


def _distance(line: Line, point: Point) -> float:
    x, y = np.array([[point[0]]]), np.array([[point[1]]])
    return float(np.abs(Polylines([line]).distances_px(x, y)[0, 0]))


@given(bends, places, places)
def test_walking_back_swaps_in_and_out(points: list[Point], start: Point, end: Point) -> None:
    line = _line(points)
    assume(min(_distance(line, start), _distance(line, end)) > 5.1)
    swap = {"in": "out", "out": "in"}
    there, back = _directions(line, [start, end]), _directions(line, [end, start])
    assert back == [swap[one] for one in there]


@given(bends, st.lists(places, min_size=2, max_size=12), st.floats(0, 20))
def test_nothing_counts_without_meeting_a_segment_itself(
    points: list[Point], way: list[Point], hysteresis_px: float
) -> None:
    """And where it counts, the crossing is on a segment, in time between two frames."""
    line = _line(points)
    for crossing in _walk(line, way, hysteresis_px=hysteresis_px):
        off = min(
            _from_segment(np.array(crossing.point), np.array(a), np.array(b))
            for a, b in zip(line.points, line.points[1:], strict=False)
        )
        assert off < 1e-2
        assert 0 <= crossing.crossed_ns <= (len(way) - 1) * FRAME_NS


@given(bends, st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=3, max_size=40))
def test_trembling_counts_at_most_once(points: list[Point], shake: list[Point]) -> None:
    """Around a point of the line, with less than the hysteresis."""
    (ax, ay), (bx, by) = points[:2]
    way = [((ax + bx) / 2 + dx, (ay + by) / 2 + dy) for dx, dy in shake]
    assert len(_directions(_line(points), way)) == 0


def _from_segment(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    along = end - start
    share = np.clip((point - start) @ along / (along @ along), 0, 1)
    return float(np.linalg.norm(point - start - share * along))
