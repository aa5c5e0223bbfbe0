"""Three bugs of the most used library, as fixtures: supervision #2598, #2578 and #1838."""

import numpy as np

from stages.zones import Crossing, LineRule, Rules
from tests.stages.zones.walks import Point, Walkers, tracks

LINE = LineRule("gate", ((0, 100), (200, 100)))


def _crossings(walkers: Walkers) -> list[str]:
    return [crossing.direction for crossing in walkers.of(Crossing)]


def test_2598_a_box_that_flickers_over_the_line_is_no_crossing() -> None:
    """One frame's box is too large, again and again; then the object really goes through."""
    walkers = Walkers(Rules((LINE,)))
    for y in (80, 82, 118, 84, 86, 121, 87, 88, 119, 88):
        walkers.step({1: (100, y)})
    assert _crossings(walkers) == []
    for y in (92, 104, 112, 120, 88, 124, 130):  # one box falls back on its way
        walkers.step({1: (100, y)})
    assert _crossings(walkers) == ["in"]


def test_2598_trembling_on_the_line_never_gives_the_wrong_direction() -> None:
    walkers = Walkers(Rules((LINE,)))
    for y in (60, 80, 98, 103, 97, 102, 99, 104, 96, 103, 99, 108, 112, 130):
        walkers.step({1: (100, y)})
    assert _crossings(walkers) == ["in"]


def test_2578_detections_without_identity_are_not_one_object() -> None:
    """Two unconfirmed objects, both of id -1, on the two sides of the line."""
    walkers = Walkers(Rules((LINE,)))
    for y in (20, 160) * 10:
        walkers.step({-1: (100, y)})
        walkers.step({0: (100, y)})
    assert walkers.told == []
    assert walkers.site.lines[0].counts == {"in": 0, "out": 0}


def test_2578_among_them_real_tracks_are_counted_as_ever() -> None:
    walkers = Walkers(Rules((LINE,)))
    for k in range(12):
        real: dict[int, Point] = {7: (50, 70 + 6 * k), 8: (150, 136 - 6 * k)}
        one = tracks({**real, -1: (100, 20 if k % 2 else 160)})
        walkers.now_ns += 1
        walkers.step(
            {**real, -1: (100, 20 if k % 2 else 160)}, track_id=one.track_id,
            detection_index=np.arange(3),
        )  # fmt: skip
    assert sorted((c.track_id, c.direction) for c in walkers.of(Crossing)) == [
        (7, "in"), (8, "out"),
    ]  # fmt: skip


def test_1838_a_line_near_the_edge_of_the_picture_counts() -> None:
    """Three pixels above the lower edge, where no box can get further than the edge."""
    size = (400, 300)
    line = LineRule("gate", ((0, 297), (400, 297)))
    walkers = Walkers(Rules((line,)), size)
    for y in (270, 280, 290, 299.5, 300, 300):
        walkers.step({1: (100, y)})
    assert _crossings(walkers) == ["in"]


def test_1838_who_leaves_the_picture_right_behind_the_line_is_counted_at_the_end() -> None:
    line = LineRule("gate", ((380, 0), (380, 300)))
    walkers = Walkers(Rules((line,)))
    for x in (340, 355, 370, 390):  # seen once behind the line, at the right edge
        walkers.step({1: (x, 200)})
    assert _crossings(walkers) == []
    walkers.step({}, ended=[1])
    (crossing,) = walkers.of(Crossing)
    assert crossing.direction == "out"
    assert 0.08e9 < crossing.crossed_ns < 0.12e9


def test_1838_who_is_lost_behind_a_line_within_the_picture_is_not() -> None:
    line = LineRule("gate", ((200, 0), (200, 300)))
    walkers = Walkers(Rules((line,)))
    for x in (160, 175, 190, 210):
        walkers.step({1: (x, 200)})
    walkers.step({}, ended=[1])
    assert _crossings(walkers) == []
