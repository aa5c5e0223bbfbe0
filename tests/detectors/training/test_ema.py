"""The moving average over a network: what moves, and how far."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.training.ema import Ema
from detectors.training.parameters import placeholders
from detectors.yolo_nas.architecture.model import build

Oracle = dict[str, Any]


def test_the_average_follows_the_ramp_of_the_original(oracle: Callable[[str], Oracle]) -> None:
    reference = oracle("schedule")
    model = build("yolo_nas_n", 2)
    ema = Ema(model, 0.9997)
    names = ("heads.head1.reg_pred.weight", "backbone.stem.conv.post_bn.running_mean")
    start = {name: ema.model.state_dict()[name].clone() for name in names}
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(1)
    left = 1.0
    for step, decay in zip(
        reference["ema/steps"][:6], reference["ema/threshold_0.9997"][:6], strict=True
    ):
        ema.update(model, int(step))
        left *= float(decay)
        for name in names:
            moved = ema.model.state_dict()[name] - start[name]
            torch.testing.assert_close(moved, torch.full_like(moved, 1 - left), atol=1e-5, rtol=0)


def test_counters_and_placeholders_are_not_averaged() -> None:
    model = build("yolo_nas_n", 2)
    ema = Ema(model, 0.5)
    before = {key: value.clone() for key, value in ema.model.state_dict().items()}
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(1)
    ema.update(model, 100)
    after = ema.model.state_dict()
    kept = {key for key in before if torch.equal(before[key], after[key])}
    counters = {key for key in before if key.endswith("num_batches_tracked")}
    assert kept == counters | placeholders(model)
    assert not ema.model.training
    assert not any(parameter.requires_grad for parameter in ema.model.parameters())
