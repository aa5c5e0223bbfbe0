"""Suppression with torch against the one in NumPy; here on tensors of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.letterbox import Letterbox
from detectors.yolo_nas.gpu.suppress import finish_batch, suppress_batch
from detectors.yolo_nas.postprocess import Suppression, suppress
from detectors.yolo_nas.processing import Processing
from detectors.yolo_nas.voting import Voting
from pipeline.core.arrays import F32, AnyArray

RULES = st.builds(
    Suppression,
    conf=st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 1.0]),
    iou=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]),
    top_k=st.sampled_from([1, 5, 30, 1024]),
    max_boxes=st.sampled_from([1, 4, 300]),
    multi_label=st.booleans(),
    class_agnostic=st.booleans(),
)


def scene(seed: int, images: int, anchors: int, classes: int, tied: bool) -> tuple[F32, F32]:
    """Boxes in a few heaps, some of them empty or inside out, and scores with or without ties."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 4, (images, anchors, 2)) * 20 + rng.normal(0, 3, (images, anchors, 2))
    sides = rng.uniform(-2, 30, (images, anchors, 2))
    scores = rng.random((images, anchors, classes))
    if tied:
        scores = np.rint(scores * 4) / 4
    boxes = np.concatenate([corner, corner + sides], -1)
    return boxes.astype(np.float32), scores.astype(np.float32)


def compare(boxes: F32, scores: F32, rule: Suppression) -> int:
    """How many boxes were kept, if both agree."""
    found = suppress_batch(torch.from_numpy(boxes), torch.from_numpy(scores), rule)
    assert len(found) == len(boxes)
    total = 0
    for kept, image_boxes, image_scores in zip(found, boxes, scores, strict=True):
        wanted: tuple[AnyArray, ...] = suppress(image_boxes, image_scores, rule)
        for mine, theirs in zip(kept, wanted, strict=True):
            np.testing.assert_array_equal(mine.numpy(), theirs)
            assert mine.numpy().dtype == theirs.dtype
        total += len(kept[0])
    return total


@settings(max_examples=100, deadline=None)
@given(
    rule=RULES,
    seed=st.integers(0, 10_000),
    images=st.integers(1, 4),
    anchors=st.integers(1, 120),
    classes=st.integers(1, 5),
    tied=st.booleans(),
)
def test_keeps_what_numpy_keeps(
    rule: Suppression, seed: int, images: int, anchors: int, classes: int, tied: bool
) -> None:
    compare(*scene(seed, images, anchors, classes, tied), rule)


def test_many_boxes() -> None:
    boxes, scores = scene(0, 2, 3000, 3, tied=False)
    assert compare(boxes, scores, Suppression(conf=0.01)) > 20


def test_a_chain_in_which_every_second_box_stays() -> None:
    """Each box overlaps only its neighbours: the longest way to settle."""
    left = np.arange(40, dtype=np.float32) * 5
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], -1)[None]
    scores = np.linspace(1, 0.5, 40, dtype=np.float32)[None, :, None]
    assert compare(boxes, scores, Suppression(iou=0.2)) == 20


@pytest.mark.parametrize("multi_label", [True, False])
def test_nothing_found(multi_label: bool) -> None:
    boxes, scores = scene(0, 3, 10, 2, tied=False)
    assert compare(boxes, scores * 0, Suppression(multi_label=multi_label)) == 0


def test_images_do_not_touch_each_other() -> None:
    boxes, scores = scene(3, 1, 50, 2, tied=False)
    one = compare(boxes, scores, Suppression())
    assert compare(np.repeat(boxes, 3, 0), np.repeat(scores, 3, 0), Suppression()) == 3 * one


@settings(max_examples=60, deadline=None)
@given(
    rule=RULES,
    seed=st.integers(0, 10_000),
    images=st.integers(1, 3),
    anchors=st.integers(1, 80),
    classes=st.integers(1, 4),
)
def test_votes_as_in_numpy(
    rule: Suppression, seed: int, images: int, anchors: int, classes: int
) -> None:
    boxes, scores = scene(seed, images, anchors, classes, tied=False)
    processing = Processing(tuple(map(str, range(classes))), Letterbox(64, 64), voting=Voting())
    found = finish_batch(torch.from_numpy(boxes), torch.from_numpy(scores), rule, Voting())
    for kept, image_boxes, image_scores in zip(found, boxes, scores, strict=True):
        xyxy, score, class_id = processing.finish(image_boxes, image_scores, rule)
        np.testing.assert_allclose(kept[0].numpy(), xyxy, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(kept[1].numpy(), score, rtol=1e-5)
        np.testing.assert_array_equal(kept[2].numpy(), class_id)
