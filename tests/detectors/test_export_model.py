"""A checkpoint becomes an ONNX file that says what it is, and predicts."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import onnx
import onnxruntime

from detectors.yolo_nas.predict.predictor import YoloNAS
from pipeline.core.arrays import F32

SIZE = (64, 96)


def noise(count: int) -> list[F32]:
    rng = np.random.default_rng(1)
    return [rng.random((2, 3, *SIZE), np.float32) for _ in range(count)]


def run(model: bytes, images: F32) -> tuple[F32, F32]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    boxes, scores = session.run(["boxes", "scores"], {"images": images})
    return boxes, scores


def test_exported_file_says_what_it_is(float_file: Path) -> None:
    model = onnx.load(float_file)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    said = json.loads(metadata["eyrie.model"])
    assert metadata["eyrie.precision"] == "fp32"
    assert (said["family"], said["variant"]) == ("yolo_nas", "yolo_nas_n")
    assert said["class_names"] == ["cat", "dog"]
    assert said["input_size"] == [64, 96]
    assert said["preprocessing"]["letterbox"] == "centre"
    assert len(said["checkpoint_sha256"]) == 64
    assert said["training"]["data"] == ["pictures"]
    shapes = [
        [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["batch", 3, 64, 96], ["batch", 126, 4], ["batch", 126, 2]]


def test_exported_file_predicts(float_file: Path) -> None:
    model = YoloNAS.load(float_file)
    found = model.predict(np.zeros((50, 80, 3), np.uint8))
    assert found.class_names == ("cat", "dog")
    assert found.prediction.bboxes_xyxy.shape[1] == 4


def test_any_batch_gives_the_results_of_single_images(float_file: Path) -> None:
    images = np.concatenate(noise(2))[:3]
    together = run(float_file.read_bytes(), images)
    for n in range(3):
        alone = run(float_file.read_bytes(), images[n : n + 1])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[n], b[0], rtol=1e-3, atol=1e-3)
