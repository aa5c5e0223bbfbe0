"""Loss and assignment on fixed predictions: equal to the original's."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.training.assign import ATSS, Assignment, TaskAligned
from detectors.training.losses import DetectionLoss
from detectors.yolo_nas.architecture.heads import RawOutput, anchor_grid
from tests.detectors.training.original_targets import original_targets

Oracle = dict[str, Any]

CONFIGS = {
    "tal_varifocal": DetectionLoss(),
    "tal_focal": DetectionLoss("focal"),
    "atss_varifocal": DetectionLoss(assigner=ATSS()),
    "tal_varifocal_sequential": DetectionLoss(assigner=TaskAligned(drop_hopeless=True)),
    "tal_no_targets": DetectionLoss(),
}


@pytest.fixture(scope="module")
def reference(oracle: Callable[[str], Oracle]) -> Oracle:
    return oracle("loss")


def predictions(rule: ModuleType) -> RawOutput:
    logits = 3 * rule.signed("loss/logits/3x1344x7", (3, 1344, 7)) - 2
    bins = (2 * rule.signed("loss/distri/3x1344x68", (3, 1344, 68))).astype(np.float32)
    slope = (0.25 * np.arange(17)).astype(np.float32)
    distances = (bins.reshape(3, 1344, 4, 17) - slope).reshape(3, 1344, 68)
    boxes, points, strides = anchor_grid([(32, 32), (16, 16), (8, 8)], torch.zeros(1))
    return RawOutput(
        torch.from_numpy(logits.astype(np.float32)).requires_grad_(),
        torch.from_numpy(distances).requires_grad_(),
        boxes,
        points,
        [1024, 256, 64],
        strides,
    )


@pytest.mark.parametrize("config", CONFIGS)
def test_loss(config: str, rule: ModuleType, reference: Oracle) -> None:
    raw = predictions(rule)
    rows = reference["targets"]
    targets = original_targets(rows[:0] if config == "tal_no_targets" else rows)
    losses = CONFIGS[config](raw, targets)
    torch.autograd.backward(losses.total)
    terms = [float(t.detach()) for t in (losses.cls, losses.iou, losses.dfl, losses.total)]
    wanted = reference[f"{config}/components_cls_iou_dfl_total"]
    np.testing.assert_allclose(terms, wanted, rtol=1e-5, atol=1e-7)
    for name, tensor in [("logits", raw.logits), ("distri", raw.distances)]:
        if f"{config}/grad_{name}_sums" in reference:
            assert tensor.grad is not None
            assert_sums(tensor.grad.numpy(), reference[f"{config}/grad_{name}_sums"])
            sample = reference[f"{config}/grad_{name}_sample"]
            np.testing.assert_allclose(tensor.grad[:, ::97], sample, rtol=1e-4, atol=1e-7)


def assert_sums(values: Any, wanted: Any) -> None:
    """Sum, absolute sum, sum of squares, extremes; a sum near zero is judged by its terms."""
    v = values.astype(np.float64)
    sums = [v.sum(), np.abs(v).sum(), (v**2).sum(), v.min(), v.max()]
    np.testing.assert_allclose(sums, wanted, rtol=1e-5, atol=1e-6 * sums[1])


@pytest.mark.parametrize("config", ["tal", "atss"])
def test_assignment(config: str, rule: ModuleType, reference: Oracle) -> None:
    raw = predictions(rule)
    targets = original_targets(reference["targets"])
    loss = CONFIGS[f"{config}_varifocal"]
    assigned: Assignment = loss.assign(raw.logits, raw.distances, raw, targets)
    wanted = f"assign_{config}"
    np.testing.assert_array_equal(assigned.labels, reference[f"{wanted}/labels"])
    picture, anchor = reference[f"{wanted}/pos_index"].T
    boxes = reference[f"{wanted}/pos_boxes"]
    np.testing.assert_allclose(assigned.boxes[picture, anchor], boxes, rtol=1e-6)
    scores = reference[f"{wanted}/pos_scores"]
    np.testing.assert_allclose(assigned.scores[picture, anchor], scores, rtol=1e-5)
