"""Suppression against a loop that anybody can check."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.yolo_nas.postprocess import Suppression, suppress
from pipeline.core.arrays import F32


def overlap(a: F32, b: F32) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = float(width * height)
    areas = [float((box[2] - box[0]) * (box[3] - box[1])) for box in (a, b)]
    return shared / (sum(areas) - shared)


def plain(boxes: F32, scores: F32, rule: Suppression) -> list[tuple[int, int]]:
    """(anchor, class) pairs that stay, best first."""
    pairs = [(n, c) for n, c in np.ndindex(*scores.shape) if scores[n, c] > rule.conf]
    pairs.sort(key=lambda pair: -scores[pair])
    kept: list[tuple[int, int]] = []
    for n, c in pairs[: rule.top_k]:
        rivals = [m for m, d in kept if rule.class_agnostic or c == d]
        if all(overlap(boxes[n], boxes[m]) <= rule.iou for m in rivals):
            kept.append((n, c))
    return kept[: rule.max_boxes]


@given(
    seed=st.integers(0, 10_000),
    anchors=st.integers(0, 40),
    classes=st.integers(1, 4),
    agnostic=st.booleans(),
    top_k=st.sampled_from([5, 1024]),
    iou=st.sampled_from([0.0, 0.2, 0.45, 0.9]),
)
def test_equals_the_plain_loop(
    seed: int, anchors: int, classes: int, agnostic: bool, top_k: int, iou: float
) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 20, (anchors, 2))
    boxes = np.hstack([corners, corners + rng.integers(1, 20, (anchors, 2))]).astype(np.float32)
    scores = rng.permutation(anchors * classes).reshape(anchors, classes).astype(np.float32)
    scores /= max(scores.size, 1)
    rule = Suppression(0.3, iou, top_k, max_boxes=15, class_agnostic=agnostic)

    xyxy, score, class_id = suppress(boxes, scores, rule)

    wanted = plain(boxes, scores, rule)
    np.testing.assert_array_equal(xyxy, boxes[[n for n, _ in wanted]].reshape(-1, 4))
    assert score.tolist() == [float(scores[pair]) for pair in wanted]
    assert class_id.tolist() == [c for _, c in wanted]


def test_survivors_survive_again() -> None:
    rng = np.random.default_rng(7)
    corners = rng.uniform(0, 100, (200, 2))
    boxes = np.hstack([corners, corners + rng.uniform(5, 60, (200, 2))]).astype(np.float32)
    scores = rng.random((200, 1), np.float32)
    xyxy, score, _ = suppress(boxes, scores, Suppression(0.2, 0.5))
    again, _, _ = suppress(xyxy, score[:, None], Suppression(0.2, 0.5))
    np.testing.assert_array_equal(again, xyxy)


def test_single_label_keeps_a_score_equal_to_the_limit_and_multi_label_does_not() -> None:
    boxes, scores = np.array([[0, 0, 4, 4]], np.float32), np.array([[0.5, 0.25]], np.float32)
    assert len(suppress(boxes, scores, Suppression(0.5, multi_label=False))[0]) == 1
    assert len(suppress(boxes, scores, Suppression(0.5))[0]) == 0
