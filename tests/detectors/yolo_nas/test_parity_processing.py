"""Preparation of images, suppression and prediction: equal to the original's."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from detectors.letterbox import COCO
from detectors.yolo_nas.postprocess import Suppression, suppress
from detectors.yolo_nas.predict.predictor import YoloNAS
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32, U8

Oracle = dict[str, Any]

SUPPRESSIONS = [
    "default",
    "single_label",
    "class_agnostic",
    "topk50_max20",
    "val_metric",
    "iou50",
    "none_pass",
    "single_label_class_agnostic",
]
IMAGES = ["noise_413x733", "smooth_413x733", "smooth_200x100", "smooth_1080x1920", "smooth_636x500"]


@pytest.mark.parametrize("config", SUPPRESSIONS)
def test_suppression(config: str, oracle: Callable[[str], Oracle]) -> None:
    reference = oracle("nms")
    said = json.loads(str(reference[f"{config}/config"]))
    rule = Suppression(
        conf=said["score_threshold"],
        iou=said["nms_threshold"],
        top_k=said["nms_top_k"],
        max_boxes=said["max_predictions"],
        multi_label=said["multi_label_per_box"],
        class_agnostic=said["class_agnostic_nms"],
    )
    for n in (0, 1):
        xyxy, score, class_id = suppress(reference["boxes"][n], reference["scores"][n], rule)
        assert [str(a.dtype) for a in (xyxy, score, class_id)] == ["float32", "float32", "int64"]
        rows = np.column_stack([xyxy, score, class_id])
        np.testing.assert_array_equal(rows, reference[f"{config}/image{n}"])


@pytest.mark.parametrize("name", IMAGES)
def test_preparation(name: str, rule: ModuleType, oracle: Callable[[str], Oracle]) -> None:
    reference = {key.removeprefix(f"{name}/"): v for key, v in oracle("preproc").items()}
    kind, size = name.split("_")
    height, width = map(int, size.split("x"))
    make = rule.image_uint8 if kind == "noise" else rule.smooth_uint8
    image: U8 = make(height, width)
    assert hashlib.sha256(image.tobytes()).hexdigest() == str(reference["input_sha256"])

    tensor, transform = COCO.apply(image)

    assert tensor.dtype == np.float32
    top, _, left, _ = reference["pad_top_bottom_left_right"]
    assert (transform.top, transform.left) == (top, left)
    assert transform.scale_x == pytest.approx(float(reference["scale_factor"][0]), rel=1e-8)
    grey = np.rint(tensor * 255).astype(np.uint8)
    sample, wanted = grey[:, ::13, ::13], reference["u8_grid_sample"]
    assert np.abs(sample.astype(int) - wanted.astype(int)).max() <= 1
    assert hashlib.sha256(grey.tobytes()).hexdigest() == str(reference["u8_sha256"])
    back = transform.to_source(reference["boxes_in"])
    np.testing.assert_allclose(back, reference["boxes_inverse"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("form", ["unfused_fp32", "fused_fp32", "loaded"])
def test_prediction(
    form: str,
    rule: ModuleType,
    oracle: Callable[[str], Oracle],
    filled: Callable[[str, int], Any],
    tmp_path: Path,
) -> None:
    torch = pytest.importorskip("torch", reason="needs the train extra")
    reference = oracle("predict")
    model = filled("yolo_nas_s", 7)
    names = tuple(str(n) for n in range(7))
    if form == "fused_fp32":
        model.fuse()

    def network(images: F32) -> tuple[F32, F32]:
        with torch.inference_mode():
            (boxes, scores), _ = model(torch.from_numpy(images))
        return boxes.numpy(), scores.numpy()

    if form == "loaded":  # as users load it: fused fully, batch norms folded
        torch.save(model.state_dict(), tmp_path / "s7.pth")
        predictor = YoloNAS.load(tmp_path / "s7.pth")
    else:
        predictor = YoloNAS(network, Processing(names, COCO))
    for conf, boxes in [(0.9, 36), (0.95, 0)]:
        found = predictor.predict(rule.smooth_uint8(413, 733), conf=conf).prediction
        assert len(found.labels) == boxes
        wanted = f"{form if form != 'loaded' else 'fused_fp32'}/conf{conf}/"
        order = np.lexsort((-found.confidence.round(4), found.labels))
        theirs = np.lexsort(
            (-reference[wanted + "confidence"].round(4), reference[wanted + "labels"])
        )
        np.testing.assert_array_equal(found.labels[order], reference[wanted + "labels"][theirs])
        np.testing.assert_allclose(
            found.confidence[order], reference[wanted + "confidence"][theirs], rtol=0, atol=1e-5
        )
        np.testing.assert_allclose(
            found.bboxes_xyxy[order], reference[wanted + "bboxes_xyxy"][theirs], rtol=0, atol=5e-3
        )
