"""A training step: losses, gradients and batch statistics equal to the original's."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.training.losses import DetectionLoss
from detectors.yolo_nas.architecture.model import YoloNASModule
from tests.detectors.training.original_targets import original_targets

Oracle = dict[str, Any]
RUN = "train320"

# Batch statistics of random weights amplify the last bit of a sum through fifty layers: norms agree
# to 1e-3 where the kernels sum in the same order, as they do with two threads on one processor.
SAME_SUMS, OTHER_SUMS = 1e-3, 3e-2


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("name", "classes"), [("yolo_nas_s_nc7", 7), ("yolo_nas_s", 80)])
def test_training_step(
    name: str,
    classes: int,
    rule: ModuleType,
    oracle: Callable[[str], Oracle],
    filled: Callable[[str, int], YoloNASModule],
) -> None:
    reference, model = oracle(name), filled("yolo_nas_s", classes).train()
    _, raw = model(torch.from_numpy(rule.input_tensor((2, 3, 320, 320))))
    targets = original_targets(reference[f"{RUN}/targets"])
    losses = DetectionLoss()(raw, targets)
    torch.autograd.backward(losses.total)

    logits = raw.logits.detach().numpy()[:, ::97]
    wanted = reference[f"{RUN}/raw_cls_logits/sample"]
    np.testing.assert_allclose(logits, wanted, rtol=1e-3, atol=1e-3)
    terms = [float(t.detach()) for t in (losses.cls, losses.iou, losses.dfl, losses.total)]
    np.testing.assert_allclose(
        terms, reference[f"{RUN}/loss_components_cls_iou_dfl_total"], rtol=1e-4
    )
    assert_gradients(model, reference, SAME_SUMS if (logits == wanted).all() else OTHER_SUMS)
    assert_batch_statistics(model, reference)


def assert_gradients(model: YoloNASModule, reference: Oracle, rtol: float) -> None:
    """Norms of all gradients; those of biases that a batch norm cancels are noise around zero."""
    norms = {
        name: float(parameter.grad.norm())
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    names = [str(name) for name in reference[f"{RUN}/grad_names"]]
    assert list(norms) == names
    found, wanted = np.array([norms[name] for name in names]), reference[f"{RUN}/grad_l2"]
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-6 * wanted.max())


def assert_batch_statistics(model: YoloNASModule, reference: Oracle) -> None:
    state, prefix = model.state_dict(), f"{RUN}/after/"
    keys = [key for key in reference if key.startswith(prefix)]
    assert len(keys) >= 3
    for key in keys:
        value = state[key.removeprefix(prefix)].numpy()
        np.testing.assert_allclose(value, reference[key], rtol=1e-4, atol=1e-5)
