"""Which points are inside, how far from the edge, and when a rule applies."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.zones.polygon import Point, Polygons, why_no_polygon
from stages.zones.schedule import DAYS, Schedule, Schedules
from tests.stages.zones.walks import SECOND_NS

BENT = ((0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (50.0, 40.0), (0.0, 100.0))


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=3, max_size=7),
        min_size=1, max_size=4,
    ),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_inside_and_distance_are_those_of_opencv(
    drawn: list[list[tuple[int, int]]], seed: int
) -> None:
    shapes: list[list[Point]] = [
        [(float(x), float(y)) for x, y in shape]
        for shape in drawn
        if why_no_polygon([(float(x), float(y)) for x, y in shape]) is None
    ] or [list(BENT)]
    points = np.random.default_rng(seed).uniform(-10, 110, (2, 1, 40))
    inside = Polygons(shapes).contain(*points)
    for place, shape in enumerate(shapes):
        contour = np.array(shape, np.float32)[:, None]
        at = points[:, 0].T
        signed = np.array([cv2.pointPolygonTest(contour, (x, y), True) for x, y in at.tolist()])
        clear = np.abs(signed) > 1e-3
        np.testing.assert_array_equal(inside[place, clear], signed[clear] > 0)
        rows = np.full(len(at), place)
        near = Polygons(shapes).edge_distances_px(rows, at[:, 0], at[:, 1])
        np.testing.assert_allclose(near, np.abs(signed), atol=1e-3)


def test_polygons_that_share_an_edge_share_no_point() -> None:
    left, right = ((0, 0), (50, 0), (50, 90), (0, 90)), ((50, 0), (90, 0), (90, 90), (50, 90))
    inside = Polygons([left, right]).contain(np.full((1, 20), 50.0), np.linspace(1, 80, 20)[None])
    assert (inside.sum(axis=0) == 1).all()


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (BENT, None),
        (BENT[::-1], None),
        (((0, 0), (9, 9), (9, 0), (0, 9)), "crosses or touches"),
        (((0, 0), (9, 0), (5, 0)), "crosses or touches"),
        (((0, 0), (9, 0), (9, 9), (5, 0), (0, 9)), "crosses or touches"),  # a corner on an edge
        (((0, 0), (9, 0)), "3 corners or more"),
    ],
)
def test_what_is_no_polygon(points: tuple[Point, ...], said: str | None) -> None:
    why = why_no_polygon(points)
    assert (why is None) if said is None else (why is not None and said in why)


def _ns(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = Schedule(frozenset({"sat"}), ((time(22), time(6)),), ZoneInfo("Europe/Berlin"))
    for text, applies in (
        ("2026-01-03T20:59", False), ("2026-01-03T21:00", True),  # Saturday, an hour ahead of UTC
        ("2026-01-04T04:59", True), ("2026-01-04T05:00", False), ("2026-01-04T21:30", False),
    ):  # fmt: skip
        assert night.applies(_ns(text)) is applies, text


def test_summer_time_is_that_of_the_zone() -> None:
    day = Schedule(frozenset(DAYS), ((time(8), None),), ZoneInfo("Europe/Berlin"))
    assert [day.applies(_ns(f"2026-{month}-01T06:30")) for month in ("01", "07")] == [False, True]


def test_schedules_are_looked_up_once_a_minute() -> None:
    asked = Schedules([None, Schedule(frozenset(DAYS), ((time(0), time(0, 2)),))])
    start_ns = _ns("2026-01-01T00:00")
    changes = [asked.look(start_ns + k * 10 * SECOND_NS) for k in range(20)]
    assert [k for k, places in enumerate(changes) if places] == [12]
    assert asked.active.tolist() == [True, False]
