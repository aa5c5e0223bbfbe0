"""Appearance: who comes back is known by it, who looks otherwise is another."""

import numpy as np
import pytest

from pipeline.core.arrays import F32
from pipeline.core.tracks import Tracks
from stages.tracking import Tracker
from stages.tracking.look import Look

RED, BLUE, UNKNOWN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (float("nan"),) * 3


def _see(tracker: Tracker, *people: tuple[float, tuple[float, ...]]) -> Tracks:
    """A frame with people at these x, who look so."""
    boxes = np.array([[x, 0, x + 40, 100] for x, _ in people], np.float32).reshape(-1, 4)
    features = np.array([look for _, look in people], np.float32).reshape(-1, 3)
    count = len(people)
    score, kind = np.full(count, 0.9, np.float32), np.zeros(count, np.int32)
    return tracker.update(boxes, score, kind, features=features)


@pytest.mark.parametrize(("look", "expected"), [(RED, [1]), (BLUE, []), (UNKNOWN, [])])
def test_a_lost_track_far_from_its_place_comes_back_by_its_look(
    look: tuple[float, ...], expected: list[int]
) -> None:
    tracker = Tracker()
    for _ in range(5):
        _see(tracker, (0, RED))
    for _ in range(10):
        _see(tracker)
    assert _see(tracker, (150, look)).track_id.tolist() == expected


def test_nobody_comes_back_from_out_of_reach() -> None:
    tracker = Tracker()
    for _ in range(5):
        _see(tracker, (0, RED))
    for _ in range(3):
        _see(tracker)
    assert len(_see(tracker, (900, RED))) == 0


def test_looks_settle_who_is_who_where_boxes_cannot() -> None:
    tracker = Tracker()
    for _ in range(5):
        _see(tracker, (0, RED), (14, BLUE))
    changed = _see(tracker, (1, BLUE), (13, RED))
    assert changed.track_id.tolist() == [1, 2]
    assert changed.detection_index.tolist() == [1, 0]
    blind = Tracker()
    for _ in range(5):
        _see(blind, (0, UNKNOWN), (14, UNKNOWN))
    assert _see(blind, (1, UNKNOWN), (13, UNKNOWN)).detection_index.tolist() == [0, 1]


def test_a_sole_candidate_is_taken_whatever_it_looks_like() -> None:
    tracker = Tracker()
    for _ in range(5):
        _see(tracker, (0, RED))
    assert _see(tracker, (1, BLUE)).track_id.tolist() == [1]


def test_features_of_another_size_are_refused_before_anything_changes() -> None:
    tracker = Tracker()
    _see(tracker, (0, RED))
    boxes, one = np.array([[0, 0, 40, 100]], np.float32), np.ones(1, np.float32)
    with pytest.raises(ValueError, match="features have 2 numbers each, before 3"):
        tracker.update(boxes, one, np.zeros(1, np.int32), features=np.ones((1, 2), np.float32))
    assert _see(tracker, (0, RED)).track_id.tolist() == [1]


def test_a_look_is_a_slow_mean_of_unit_length_and_keeps_through_what_is_unknown() -> None:
    look, rows, sure = Look(), np.array([0]), np.ones(1, np.float32)
    look.add(1, None)
    look.hit(rows, _rows(RED), sure)
    look.hit(rows, _rows(UNKNOWN), sure)
    look.hit(rows, _rows((0, 0, 0)), sure)
    assert look.features[0].tolist() == [1, 0, 0]
    look.hit(rows, _rows(BLUE), np.full(1, 0.2, np.float32))
    assert look.features[0].tolist() == [1, 0, 0]
    look.hit(rows, _rows(BLUE), sure)
    assert look.features[0, 0] > 0.95
    assert np.linalg.norm(look.features[0]) == pytest.approx(1)


def _rows(*looks: tuple[float, ...]) -> F32:
    return np.array(looks, np.float32)
