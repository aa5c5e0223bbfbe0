"""Voting: what stays is refined by what was removed."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.letterbox import Letterbox
from detectors.yolo_nas.postprocess import Suppression, suppress
from detectors.yolo_nas.processing import Processing
from detectors.yolo_nas.voting import Voting, vote
from pipeline.core.arrays import F32
from pipeline.core.boxes import iou_matrix

SCORES_KEPT = Voting(support=0)


def heaps(seed: int, anchors: int, classes: int) -> tuple[F32, F32]:
    """Boxes that tremble around a few places, with scores."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 3, (anchors, 2)) * 60 + rng.normal(0, 2, (anchors, 2))
    boxes = np.hstack([corner, corner + rng.uniform(25, 30, (anchors, 2))])
    return boxes.astype(np.float32), rng.random((anchors, classes), np.float32)


@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(1, 4), st.booleans())
def test_equals_a_plain_loop(seed: int, anchors: int, classes: int, multi_label: bool) -> None:
    boxes, scores = heaps(seed, anchors, classes)
    kept = suppress(boxes, scores, Suppression(0.3, 0.6, multi_label=multi_label))
    voting = Voting()
    xyxy, score, class_id = vote(kept, boxes, scores, voting)
    assert (np.diff(score) <= 0).all()
    wanted = []
    for box, was, found in zip(*kept, strict=True):
        column, support = scores[:, found], 0.0
        apart = np.abs((boxes[:, :2] + boxes[:, 2:]) - (box[:2] + box[2:])) / 2
        near = (apart < 0.3 * (box[2:] - box[:2])).all(axis=1)
        for turn in range(2):
            agreeing = iou_matrix(box[None], boxes)[0] > voting.iou
            voters = near & agreeing & (column >= np.float32(0.2) * was)
            weights = column[voters].astype(np.float64) ** 3
            box = ((weights[:, None] * boxes[voters]).sum(0) / weights.sum()).astype(np.float32)
            support = support if turn else column[voters].astype(np.float64).sum() / was
        wanted.append((min(1.0, was * min(1.3, (support / 11) ** 0.2)), found, box))
    wanted.sort(key=lambda row: -row[0])
    np.testing.assert_allclose(score, [row[0] for row in wanted], rtol=1e-5)
    assert sorted(class_id.tolist()) == sorted(row[1] for row in wanted)
    for box, value in zip(xyxy, score, strict=True):
        near = [row for row in wanted if abs(row[0] - value) < 1e-5]
        assert any(np.allclose(box, row[2], rtol=1e-4, atol=1e-3) for row in near)


def test_a_box_becomes_the_mean_of_those_that_agree() -> None:
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]], np.float32)
    scores = np.array([[0.8], [0.8], [0.5]], np.float32)
    kept = suppress(boxes, scores, Suppression(0.3, 0.6))
    xyxy, score, _ = vote(kept, boxes, scores, SCORES_KEPT)
    np.testing.assert_allclose(xyxy, [[1, 0, 11, 10], [50, 50, 60, 60]])
    np.testing.assert_allclose(score, [0.8, 0.5])


def test_a_score_rises_with_its_support_and_falls_without() -> None:
    crowd = np.repeat(np.array([[0, 0, 10, 10]], np.float32), 20, 0)
    boxes = np.vstack([crowd, np.array([[50, 50, 60, 60]], np.float32)])
    scores = np.full((21, 1), 0.5, np.float32)
    _, score, _ = vote(suppress(boxes, scores, Suppression(0.3)), boxes, scores, Voting())
    np.testing.assert_allclose(score, [0.5 * (20 / 11) ** 0.2, 0.5 * (1 / 11) ** 0.2], rtol=1e-5)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.25, 0.5]), st.booleans())
def test_limits_hold_for_what_is_refined(seed: int, conf: float, agnostic: bool) -> None:
    processing = Processing(("a", "b"), Letterbox(96, 96), voting=Voting())
    boxes, scores = heaps(seed, 80, 2)
    rule = Suppression(conf, 0.6, multi_label=False, class_agnostic=agnostic)
    xyxy, score, class_id = processing.finish(boxes, scores, rule)
    assert (score >= conf).all()
    rivals = iou_matrix(xyxy, xyxy) * (agnostic | (class_id[:, None] == class_id))
    assert (np.triu(rivals, k=1) <= 0.6).all()
    assert len(score) <= len(suppress(boxes, scores, rule)[1])


def test_an_empty_box_keeps_itself() -> None:
    boxes, scores = np.array([[5, 5, 5, 9]], np.float32), np.array([[0.9]], np.float32)
    xyxy, score, _ = vote(suppress(boxes, scores), boxes, scores, Voting())
    np.testing.assert_array_equal(xyxy, boxes)
    assert score[0] == pytest.approx(0.9 * (1 / 11) ** 0.2)


def test_metadata_tells_it() -> None:
    processing = Processing(("a",), Letterbox(32, 32), voting=Voting(iou=0.7))
    said = json.loads(json.dumps(processing.to_metadata()))
    assert Processing.from_metadata(said) == processing
    for older in (said | {"voting": None}, {k: v for k, v in said.items() if k != "voting"}):
        assert Processing.from_metadata(older).voting is None


@pytest.mark.parametrize("values", [{"iou": 1.1}, {"sharpness": -1}, {"support": 0.5}])
def test_values_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="voting"):
        Voting(**values)
    said = Processing(("a",), Letterbox(32, 32), voting=Voting()).to_metadata()
    said["voting"] = {"iou": True}
    with pytest.raises(ValueError, match="voting iou"):
        Processing.from_metadata(said)
