"""The loss where annotations are partial."""

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.training.assign import Targets
from detectors.training.losses import DetectionLoss, giou
from detectors.yolo_nas.architecture.heads import RawOutput, anchor_grid


def raw_output(pictures: int, classes: int) -> RawOutput:
    generator = torch.Generator().manual_seed(5)
    boxes, points, strides = anchor_grid([(8, 8), (4, 4), (2, 2)], torch.zeros(1))
    anchors = len(points)
    return RawOutput(
        torch.randn(pictures, anchors, classes, generator=generator).requires_grad_(),
        torch.randn(pictures, anchors, 68, generator=generator).requires_grad_(),
        boxes,
        points,
        [64, 16, 4],
        strides,
    )


def one_box(image: int, class_id: int) -> Targets:
    box = torch.tensor([[10.0, 12.0, 44.0, 40.0]])
    return Targets(torch.tensor([image]), torch.tensor([class_id]), box)


def test_background_teaches_nothing_about_a_class_that_was_not_labelled() -> None:
    raw = raw_output(2, 3)
    labelled = torch.tensor([[True, False, True], [True, True, True]])
    torch.autograd.backward(DetectionLoss()(raw, one_box(1, 0), labelled).total)
    assert raw.logits.grad is not None
    taught = raw.logits.grad.abs().sum(1) > 0
    assert taught.tolist() == labelled.tolist()


def test_an_assigned_anchor_counts_even_where_its_class_is_not_labelled() -> None:
    raw = raw_output(1, 3)
    losses = DetectionLoss()(raw, one_box(0, 1), torch.tensor([[True, False, True]]))
    torch.autograd.backward(losses.total)
    assert raw.logits.grad is not None
    column = raw.logits.grad[0, :, 1]
    assert 0 < int((column != 0).sum()) <= 13


def test_all_classes_labelled_is_the_same_as_no_mask() -> None:
    raw = raw_output(2, 3)
    targets = one_box(0, 2)
    masked = DetectionLoss()(raw, targets, torch.ones(2, 3, dtype=torch.bool))
    torch.testing.assert_close(masked.total, DetectionLoss()(raw, targets).total)


def test_giou_of_equal_and_of_distant_boxes() -> None:
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
    b = torch.tensor([[0.0, 0.0, 2.0, 2.0], [9.0, 0.0, 10.0, 1.0]])
    assert giou(a, b).tolist() == pytest.approx([1.0, -0.8])
