"""The short form of `python -m benchmarks.counting`: exact with true boxes."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.counting import Count, Place, compare, places, summarise
from benchmarks.counting_truth import undecided
from stages.sources.street import Truth
from stages.sources.street.views import VIEWS


@pytest.mark.parametrize(("view", "seconds"), [("highway", 16.0), ("corridor", 24.0)])
def test_true_boxes_are_counted_exactly(view: str, seconds: float) -> None:
    (place,) = [place for place in places(6) if place.view == view]
    scene = place.scene(seconds)
    truths = list(scene.truths())
    count = compare(place.name, truths, scene.default_line)
    assert count.exact, count
    assert sum(count.true.values()) >= 4
    # The benchmark can fail: tracks do not outlive 1.6 s of nothing.
    broken = [t if t.frame % 25 < 5 else empty(t) for t in truths]
    assert compare(place.name, broken, scene.default_line) != count


def empty(truth: Truth) -> Truth:
    none = np.zeros(len(truth), np.bool_)
    columns = ("track_id", "class_id", "xyxy", "visibility", "ignore")
    return replace(truth, **{name: getattr(truth, name)[none] for name in columns})


def test_twenty_places_span_all_views() -> None:
    some = places(20)
    assert {place.view for place in some} == set(VIEWS)
    assert len({place.seed for place in some}) == 20
    assert some[0] == Place("pavement", "day", 910_000)


def way(*feet: tuple[float, float]) -> list[Truth]:
    """An object whose foot goes this way in a picture of 400 x 300 px; another marks its corner."""
    return [
        Truth(
            frame=frame,
            track_id=np.array([1, 2]),
            class_id=np.zeros(2, np.int32),
            xyxy=np.array([[x - 5, y - 20, x + 5, y], [390.0, 290, 400, 300]]),
            visibility=np.ones(2),
            ignore=np.zeros(2, np.bool_),
        )
        for frame, (x, y) in enumerate(feet)
    ]


@pytest.mark.parametrize(
    ("feet", "unclear"),
    [
        ([(200, 50), (200, 90), (200, 130), (200, 170)], False),
        ([(200, 50), (303, 90), (303, 110), (200, 170)], True),
        ([(200, 50), (330, 90), (330, 110), (200, 170)], False),
        ([(200, 97), (200, 130), (200, 170)], True),
        ([(200, 50), (200, 90), (200, 104)], True),
        ([(3, 50), (3, 95), (4, 108), (200, 170)], False),
        ([(104, 50), (104, 95), (104, 105), (200, 170)], True),
    ],
)
def test_what_the_truth_cannot_tell(feet: list[tuple[float, float]], unclear: bool) -> None:
    assert (1 in undecided(way(*feet), ((100.0, 100.0), (300.0, 100.0)))) == unclear


def test_a_box_cut_by_the_edge_has_no_foot() -> None:
    line = ((0.0, 100.0), (300.0, 100.0))
    assert 1 in undecided(way((4, 50), (4, 95), (4, 112), (90, 170)), line)
    assert 1 not in undecided(way((44, 50), (44, 85), (44, 112), (90, 170)), line)


def test_the_summary_adds_up_what_is_wrong() -> None:
    right = {"in": 3, "out": 1}
    counts = [
        Count("a", right, right, right, right),
        Count("b", right, {"in": 2, "out": 2}, right, right),
    ]
    assert summarise(counts) == {
        "scenes_exact": 1, "true": 8, "counted": 8, "wrong": 2, "total_off": 0.0,
        "all_true": 8, "all_counted": 8, "all_wrong": 0, "all_total_off": 0.0,
    }  # fmt: skip
