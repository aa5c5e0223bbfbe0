"""Outputs, features, fused kernels: equal to the original's for weights filled by the rule."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor

from detectors.yolo_nas.architecture.model import YoloNASModule
from pipeline.core.arrays import F64, AnyArray

Oracle = dict[str, Any]
Filled = Callable[[str, int], YoloNASModule]

NAMES = ("boxes", "scores", "raw_cls_logits", "raw_reg_distri")
RAW_NAMES = ("raw_anchors", "raw_anchor_points", "raw_stride_tensor")
SHAPES = {"eval320": (2, 3, 320, 320), "eval640": (1, 3, 640, 640), "eval256x384": (1, 3, 256, 384)}
PIXELS, LOGITS, STATS = 2e-3, 2e-5, 1e-4


@pytest.fixture(scope="module", params=[("yolo_nas_s_nc7", 7), ("yolo_nas_s", 80)])
def case(
    request: pytest.FixtureRequest, oracle: Callable[[str], Oracle], filled: Filled
) -> tuple[Oracle, YoloNASModule]:
    name, classes = request.param
    return oracle(name), filled("yolo_nas_s", classes)


def outputs(model: YoloNASModule, images: Tensor) -> dict[str, AnyArray]:
    with torch.no_grad():
        decoded, raw = model(images)
    values = dict(zip(NAMES, (*decoded, raw.logits, raw.distances), strict=True))
    values |= dict(zip(RAW_NAMES, (raw.anchor_boxes, raw.anchor_points, raw.strides), strict=True))
    return {name: value.numpy() for name, value in values.items()}


def stats(values: AnyArray) -> F64:
    """Mean, deviation, extremes and 64 samples, as the reference keeps them."""
    flat = values.astype(np.float64).ravel()
    picks = flat[np.linspace(0, flat.size - 1, 64).astype(np.int64)]
    return np.concatenate([[flat.mean(), flat.std(), flat.min(), flat.max()], picks])


def assert_stats(values: AnyArray, wanted: AnyArray) -> None:
    np.testing.assert_allclose(stats(values), wanted, rtol=STATS, atol=STATS)


@pytest.mark.parametrize("run", SHAPES)
def test_outputs(case: tuple[Oracle, YoloNASModule], run: str, rule: ModuleType) -> None:
    reference, model = case
    values = outputs(model, torch.from_numpy(rule.input_tensor(SHAPES[run])))
    for name in NAMES:
        assert list(values[name].shape) == list(reference[f"{run}/{name}/shape"])
        atol = PIXELS if name == "boxes" else LOGITS
        wanted = reference[f"{run}/{name}/sample"]
        np.testing.assert_allclose(values[name][:, ::97], wanted, rtol=0, atol=atol)
    for name in RAW_NAMES:
        np.testing.assert_array_equal(values[name][::97], reference[f"{run}/{name}/sample"])


@pytest.mark.parametrize("run", ["eval320", "eval640"])
def test_features(case: tuple[Oracle, YoloNASModule], run: str, rule: ModuleType) -> None:
    reference, model = case
    images = torch.from_numpy(rule.input_tensor(SHAPES[run]))
    with torch.no_grad():
        features = model.backbone(images)
        pyramid = model.neck(*features)
    for name, feature in zip(
        ("c2", "c3", "c4", "c5", "p3", "p4", "p5"), (*features, *pyramid), strict=True
    ):
        assert_stats(feature.numpy(), reference[f"{run}/feat/{name}"])


def test_inner_modules(case: tuple[Oracle, YoloNASModule], rule: ModuleType) -> None:
    reference, model = case
    prefix = "eval320/probe/"
    seen: dict[str, AnyArray] = {}

    def watch(name: str) -> Callable[..., None]:
        def note(_: Any, __: Any, output: Any) -> None:
            seen[name] = (output[1] if isinstance(output, tuple) else output).numpy()

        return note

    names = [key.removeprefix(prefix) for key in reference if key.startswith(prefix)]
    handles = [model.get_submodule(n).register_forward_hook(watch(n)) for n in names]
    outputs(model, torch.from_numpy(rule.input_tensor(SHAPES["eval320"])))
    for handle in handles:
        handle.remove()
    assert len(names) > 40
    for name in names:
        assert_stats(seen[name], reference[prefix + name])


def test_float64(case: tuple[Oracle, YoloNASModule], filled: Filled, rule: ModuleType) -> None:
    reference, model = case
    precise = filled("yolo_nas_s", model.num_classes).double()
    values = outputs(precise, torch.from_numpy(rule.input_tensor(SHAPES["eval320"])).double())
    run = "eval320_f64"
    for name, atol in [("boxes", 1e-9), ("scores", 1e-12), ("raw_reg_distri", 1e-11)]:
        wanted = reference[f"{run}/{name}/sample"]
        np.testing.assert_allclose(values[name][:, ::97], wanted, rtol=0, atol=atol)


def test_fused(case: tuple[Oracle, YoloNASModule], filled: Filled, rule: ModuleType) -> None:
    reference, model = case
    fused = filled("yolo_nas_s", model.num_classes)
    images = torch.from_numpy(rule.input_tensor(SHAPES["eval320"]))
    for run, full in [("fused_partial", False), ("fused_full", True)]:
        values = outputs(fused.fuse(full=full), images)
        for name, atol in [("boxes", PIXELS), ("scores", 1e-5)]:
            wanted = reference[f"{run}/{name}/sample"]
            np.testing.assert_allclose(values[name][:, ::97], wanted, rtol=0, atol=atol)
        state = fused.state_dict()
        for key in [k for k in reference if k.startswith(f"{run}/weights/")]:
            assert_stats(state[key.removeprefix(f"{run}/weights/")].numpy(), reference[key])
