"""What is no box, no score, no setting: dropped and counted, or refused with a clear error."""

from typing import Any

import numpy as np
import pytest

from pipeline.core.arrays import F32, I32
from stages.tracking import Tracker, TrackerParams

Box = tuple[float, float, float, float]
Found = tuple[F32, F32, I32]
NAN, INF = float("nan"), float("inf")


def _found(*boxes: Box, score: float = 0.9, class_id: int = 0) -> Found:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return xyxy, np.full(len(xyxy), score, np.float32), np.full(len(xyxy), class_id, np.int32)


def _box(x: float, y: float, width: float = 40, height: float = 80) -> Box:
    return x, y, x + width, y + height


def test_boxes_that_are_none_are_dropped_counted_and_survived() -> None:
    tracker = Tracker()
    bad: list[Box] = [
        (NAN, 0, 10, 10), (0, 0, INF, 10), (-INF, 0, 10, 10), (10, 0, 0, 10), (0, 10, 10, 0),
        (5, 5, 5, 9), (0, 0, 3e38, 3e38),
    ]  # fmt: skip
    for frame in range(1, 4):
        tracks = tracker.update(*_found(*bad, _box(0, 0)))
        assert tracks.track_id.tolist() == [1]
        assert tracks.detection_index.tolist() == [len(bad)]
        assert tracker.dropped_boxes_total == frame * len(bad)


def test_a_score_that_is_no_number_drops_its_box() -> None:
    tracker = Tracker()
    assert len(tracker.update(*_found(_box(0, 0), score=NAN))) == 0
    assert tracker.dropped_boxes_total == 1


@pytest.mark.parametrize(("score", "told"), [(INF, [1.0]), (67.5, [1.0]), (-0.1, []), (-INF, [])])
def test_scores_outside_0_to_1_are_clipped(score: float, told: list[float]) -> None:
    tracker = Tracker()
    assert tracker.update(*_found(_box(0, 0), score=score)).score.tolist() == told
    assert tracker.dropped_boxes_total == 0


def test_wrong_shapes_and_times_are_the_callers_error() -> None:
    tracker = Tracker()
    boxes, score, class_id = _found(_box(0, 0))
    with pytest.raises(ValueError, match="shapes"):
        tracker.update(boxes, score[:0], class_id)
    with pytest.raises(ValueError, match="time_s nan"):
        tracker.update(boxes, score, class_id, NAN)
    for affine in (np.eye(3), np.full((2, 3), NAN)):
        with pytest.raises(ValueError, match="camera_motion"):
            tracker.update(boxes, score, class_id, camera_motion=affine)
    for features in (np.ones(4, np.float32), np.ones((2, 4), np.float32)):
        with pytest.raises(ValueError, match="features"):
            tracker.update(boxes, score, class_id, features=features)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"high_score": 1.5}, "high_score 1.5"),
        ({"least_iou": NAN}, "least_iou nan"),
        ({"confirm_hits": 0}, "confirm_hits 0"),
        ({"lost_s": -1}, "lost_s -1"),
        ({"widen": 3}, "widen 3"),
        ({"low_score": 0.6, "high_score": 0.5}, "low_score 0.6 <= high_score 0.5"),
    ],
)
def test_settings_outside_their_range_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrackerParams(**params)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="max_age"):
        Tracker(max_age=30)


@pytest.mark.parametrize("linear", [0.0, 1e-3, 20.0, 1e9, 1e300])
def test_no_camera_scales_like_that(linear: float) -> None:
    tracker, motion = Tracker(), np.array([[linear, 0, 0], [0, linear, 0]])
    with pytest.raises(ValueError, match="is no motion of a camera"):
        tracker.update(*_boxes(3), camera_motion=motion)
    assert len(tracker.update(*_boxes(3))) == 3


def test_a_camera_that_zooms_in_for_ever_overflows_nothing() -> None:
    tracker = Tracker(lost_s=3600)
    tracker.update(*_boxes(3))
    motion = np.array([[10.0, 0, 1e6], [0, 10.0, 1e6]])
    for _ in range(200):
        tracker.update(*_boxes(0), camera_motion=motion)
    assert np.isfinite(tracker.update(*_boxes(3)).xyxy).all()


def test_of_too_many_the_best_are_looked_at() -> None:
    boxes, score, class_id = _boxes(1500)
    score = np.linspace(0.6, 0.9, len(score), dtype=np.float32)
    tracks = Tracker().update(boxes, score, class_id)
    assert sorted(tracks.detection_index.tolist()) == list(range(500, 1500))


def _boxes(count: int) -> tuple[F32, F32, I32]:
    left = np.arange(count, dtype=np.float32) * 60
    boxes = np.stack([left, left * 0, left + 40, left * 0 + 90], axis=1)
    return boxes, np.full(count, 0.9, np.float32), np.zeros(count, np.int32)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("high_score", "0.6", "'0.6' is no number"),
        ("lost_s", None, "None is no number"),
        ("widen", True, "True is no number"),
        ("confirm_hits", 2.5, "2.5 is no whole number"),
        ("fuse_score", "no", "'no' is not true or false"),
    ],
)
def test_settings_of_the_wrong_type_are_named(name: str, value: object, why: str) -> None:
    with pytest.raises(TypeError, match=f"{name} {why}"):
        Tracker(**{name: value})
