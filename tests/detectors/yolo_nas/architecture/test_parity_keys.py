"""State dicts have the names, the order, the shapes and the dtypes of the original."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.yolo_nas.architecture.blocks import BN_EPS, BN_MOMENTUM
from detectors.yolo_nas.architecture.model import build

MODELS = [
    ("yolo_nas_s", 80, "yolo_nas_s"),
    ("yolo_nas_s", 7, "yolo_nas_s_nc7"),
    ("yolo_nas_m", 80, "yolo_nas_m"),
    ("yolo_nas_l", 80, "yolo_nas_l"),
]


def keys_of(model: torch.nn.Module) -> list[list[Any]]:
    return [
        [key, list(value.shape), str(value.dtype).removeprefix("torch.")]
        for key, value in model.state_dict().items()
    ]


@pytest.mark.parametrize(("variant", "classes", "file"), MODELS)
def test_keys(variant: str, classes: int, file: str, shared_dir: Path) -> None:
    path = shared_dir / "yolo_nas" / "parity" / f"{file}_keys.json"
    wanted = json.loads(path.read_text())["keys"]
    model = build(variant, classes)
    assert keys_of(model) == wanted["unfused"]
    assert keys_of(model.fuse()) == wanted["fused_partial"]
    assert keys_of(model.fuse(full=True)) == wanted["fused_full"]


def test_every_batch_norm_has_the_eps_and_momentum_of_the_family() -> None:
    norms = [m for m in build("yolo_nas_n", 5).modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) > 50
    assert {(m.eps, m.momentum) for m in norms} == {(BN_EPS, BN_MOMENTUM)} == {(1e-3, 0.03)}


def test_only_the_class_predictions_depend_on_the_number_of_classes() -> None:
    few, many = build("yolo_nas_s", 7).state_dict(), build("yolo_nas_s", 80).state_dict()
    changed = {key for key in few if few[key].shape != many[key].shape}
    expected = {f"heads.head{n}.cls_pred.{w}" for n in (1, 2, 3) for w in ("weight", "bias")}
    assert changed == expected
