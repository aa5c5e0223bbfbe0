"""An exported file detects what its checkpoint does, with the checkpoint's own preparation."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.export import export
from detectors.yolo_nas.architecture.model import build
from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint, read
from detectors.yolo_nas.detector import Description, YoloNasDetector
from detectors.yolo_nas.postprocess import Suppression, suppress
from pipeline.core.arrays import F32, U8

NAMES = ["cat", "dog", "hen", "cow", "ewe", "pig", "ox"]
STEPS: list[Any] = [
    "ReverseImageChannels",
    {"DetectionLongestMaxSizeRescale": {"output_shape": (60, 92)}},
    {"DetectionBottomRightPadding": {"output_shape": (64, 96), "pad_value": 40}},
    {"StandardizeImage": {"max_value": 255.0}},
    {"NormalizeImage": {"mean": [0.1, 0.2, 0.3], "std": [0.9, 1.0, 1.1]}},
    {"ImagePermute": {"permutation": (2, 0, 1)}},
]


@pytest.fixture(scope="module", params=[False, True], ids=["branches", "full"])
def fine_tuned(
    request: pytest.FixtureRequest, rule: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    """S of 7 classes that takes normalized BGR, unfused and fused."""
    model = build("yolo_nas_s", 7)
    state = {
        key: torch.from_numpy(np.array(rule.fill_value(key, value.shape)))
        for key, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    if request.param:
        model.eval().fuse(full=True)
    said = {"class_names": NAMES, "image_processor": STEPS, "conf": 0.4, "iou": 0.6}
    path = tmp_path_factory.mktemp("fine") / "tuned.pth"
    torch.save({"ema_net": model.state_dict(), "processing_params": said}, path)
    return read(path)


def run(checkpoint: Checkpoint, images: list[U8]) -> tuple[F32, F32]:
    tensor, _ = checkpoint.processing.prepare_batch(images)
    with torch.inference_mode():
        (boxes, scores), _ = checkpoint.module()(torch.from_numpy(tensor))
    return boxes.numpy(), scores.numpy()


def test_a_fine_tuned_model_detects_the_same_from_onnx(
    fine_tuned: Checkpoint, rule: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "tuned.onnx"
    export(fine_tuned, path)
    images: list[U8] = [rule.smooth_uint8(100, 120), rule.smooth_uint8(50, 200)]

    engine = OnnxRuntimeEngine(path, threads=1)
    description = Description.read(engine.metadata, path.name)
    assert description.processing == fine_tuned.processing
    assert (description.variant, description.processing.color) == ("yolo_nas_s", "bgr")
    tensor, transforms = description.processing.prepare_batch(images)
    found = engine.run(tensor)
    wanted = run(fine_tuned, images)
    assert np.abs(found[0] - wanted[0]).max() < 5e-3
    assert np.abs(found[1] - wanted[1]).max() < 1e-4

    with_colors_exchanged = run(fine_tuned, [image[..., ::-1] for image in images])
    assert np.abs(found[1] - with_colors_exchanged[1]).max() > 0.02

    detector = YoloNasDetector(engine, path, score_threshold=0.6)
    rule_of_pipelines = Suppression(conf=0.6, multi_label=False, class_agnostic=True)
    for n, detections in enumerate(detector.detect(images)):
        xyxy, score, class_id = suppress(found[0][n], found[1][n], rule_of_pipelines)
        assert len(score) > 0
        np.testing.assert_allclose(detections.xyxy, transforms[n].to_source(xyxy), atol=1e-3)
        np.testing.assert_allclose(detections.score, score, atol=1e-6)
        np.testing.assert_array_equal(detections.class_id, class_id)


def test_the_size_is_the_checkpoint_s_own_unless_said(tmp_path: Path, filled_n: Checkpoint) -> None:
    for size, wanted in [(None, (64, 96)), ((96, 64), (96, 64))]:
        path = tmp_path / f"{wanted}.onnx"
        export(filled_n, path, size)
        engine = OnnxRuntimeEngine(path, threads=1)
        description = Description.read(engine.metadata, path.name)
        assert description.processing.input_size == wanted
        description.check_graph(engine, path.name)


@pytest.fixture
def filled_n(tmp_path: Path) -> Checkpoint:
    """n of two classes, as the trainer saves it."""
    torch.manual_seed(0)
    state = build("yolo_nas_n", 2).state_dict()
    said = {"variant": "yolo_nas_n", "class_names": ["a", "b"], "input_size": [64, 96]}
    torch.save({"net": state, **said}, tmp_path / "n.pth")
    return read(tmp_path / "n.pth")
