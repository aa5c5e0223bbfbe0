"""The default model's size, fusing, import cost, prediction."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import nn

from detectors.letterbox import Letterbox
from detectors.yolo_nas.architecture.fuse import fold_batch_norms
from detectors.yolo_nas.architecture.model import YoloNASModule, build
from detectors.yolo_nas.predict.predictor import YoloNAS
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32
from pipeline.core.errors import EngineLoadError


def deployed(variant: str, classes: int) -> YoloNASModule:
    model = build(variant, classes).eval().fuse(full=True)
    fold_batch_norms(model)
    return model


def conv_macs(model: nn.Module, size_px: int) -> int:
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module.weight, torch.Tensor)
        grid = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        total += module.weight.numel() * grid.shape[2] * grid.shape[3]

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, size_px, size_px))
    return total


def test_default_model_is_small() -> None:
    model = deployed("yolo_nas_n", 5)
    assert sum(p.numel() for p in model.parameters()) <= 2_000_000
    assert conv_macs(model, 320) <= 600_000_000


@pytest.mark.parametrize(
    ("variant", "parameters", "macs"),
    [("yolo_nas_s", 12_167_600, 15.90e9), ("yolo_nas_m", 31_894_002, 43.88e9)],
)
def test_deployed_size_of_public_variants(variant: str, parameters: int, macs: float) -> None:
    model = deployed(variant, 80)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert conv_macs(model, 320) * 4 == pytest.approx(macs, rel=1e-3)


def test_fused_and_folded_model_computes_the_same() -> None:
    torch.manual_seed(3)
    model = build("yolo_nas_n", 5)
    images = torch.rand(2, 3, 96, 128)
    with torch.no_grad():
        model.train()(images)
        (boxes, scores), _ = model.eval()(images)
        model.fuse(full=True)
        fold_batch_norms(model)
        (fused_boxes, fused_scores), _ = model(images)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    torch.testing.assert_close(fused_boxes, boxes, rtol=0, atol=2e-3)
    torch.testing.assert_close(fused_scores, scores, rtol=0, atol=1e-5)


def test_partially_fused_model_can_be_trained_further() -> None:
    model = build("yolo_nas_n", 5).eval().fuse().train()
    (_, scores), _ = model(torch.rand(2, 3, 64, 64))
    scores.sum().backward()
    block = model.backbone.stem.conv
    assert block.rbr_reparam.weight.grad is not None
    assert block.rbr_reparam.weight.grad.abs().sum() > 0


def test_unknown_variant_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'yolo_nas_x'.*yolo_nas_n, yolo_nas_s"):
        build("yolo_nas_x", 80)


def test_importing_the_package_needs_neither_torch_nor_opencv() -> None:
    code = (
        "import sys, detectors.yolo_nas, detectors.yolo_nas.postprocess;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'cv2', 'onnxruntime')))"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_prediction_returns_boxes_in_image_pixels() -> None:
    def network(images: F32) -> tuple[F32, F32]:
        assert images.shape[1:] == (3, 64, 64)
        boxes = np.array([[[16, 24, 48, 40]]], np.float32).repeat(len(images), axis=0)
        return boxes, np.array([[[0.1, 0.9]]], np.float32).repeat(len(images), axis=0)

    predictor = YoloNAS(network, Processing(("a", "b"), Letterbox(64, 64)))
    image = np.zeros((100, 200, 3), np.uint8)
    one = predictor.predict(image)
    assert one.image is image
    assert one.class_names == ("a", "b")
    np.testing.assert_allclose(one.prediction.bboxes_xyxy, [[50, 25, 150, 75]], atol=1e-4)
    assert one.prediction.labels.tolist() == [1]
    assert len(predictor.predict([image, image])) == 2


def test_loading_nothing_says_which_file_is_missing() -> None:
    with pytest.raises(EngineLoadError, match=r"nowhere\.onnx"):
        YoloNAS.load("nowhere.onnx")
