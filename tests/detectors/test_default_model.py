"""The shipped model: what it is, that it detects, and what INT8 costs it."""

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks import accuracy
from benchmarks.detector import as_in_a_run
from benchmarks.street import SCENES, measure
from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.yolo_nas.detector import WEIGHTS, YoloNasDetector, resolve
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from stages.sources.file import FileSource

FP32, INT8 = WEIGHTS / "yolo_nas_n.onnx", WEIGHTS / "yolo_nas_n_int8.onnx"
VEHICLES = (1, 2, 3, 4)


def detector(name: str = "yolo_nas_n_int8", score_threshold: float = 0.5) -> YoloNasDetector:
    path = resolve(name)
    return YoloNasDetector(OnnxRuntimeEngine(path), path, score_threshold=score_threshold)


def pictures(path: Path, every: int) -> Iterator[U8]:
    return (frame.image for frame in islice(FileSource("clip", path).frames(), 0, None, every))


def detect_all(path: Path, every: int) -> list[Detections]:
    model = as_in_a_run("yolo_nas_n_int8")
    return [found for image in pictures(path, every) for found in model.detect([image])]


def share(results: list[Detections], class_ids: tuple[int, ...], least_score: float = 0.5) -> float:
    """Share of pictures with a detection of one of the classes."""
    sure = [found.class_id[found.score >= least_score] for found in results]
    return float(np.mean([np.isin(classes, class_ids).any() for classes in sure]))


def test_both_files_are_small_and_describe_themselves() -> None:
    assert FP32.stat().st_size + INT8.stat().st_size <= 8_000_000
    for path, precision in ((FP32, "fp32"), (INT8, "int8")):
        properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        assert properties["eyrie.precision"] == precision
        model = json.loads(properties["eyrie.model"])
        assert model["class_names"] == ["person", "car", "motorcycle", "bus", "truck"]
        assert model["input_size"] == [416, 416]
        assert model["preprocessing"]["color"] == "rgb"
        assert model["training"]["pictures_seen"] > 100_000


def test_the_card_names_exactly_these_files() -> None:
    card = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    for path in (FP32, INT8):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card


@pytest.mark.timeout(300)
def test_int8_keeps_the_accuracy(shared_dir: Path) -> None:
    data = shared_dir / "street5"
    fp32, int8 = (accuracy.measure(path, data, by_condition=False) for path in (FP32, INT8))
    assert fp32["map50"] >= 0.60
    assert fp32["map50_95"] >= 0.35
    assert fp32["map50_95"] - int8["map50_95"] <= 0.005


def test_a_batch_gives_what_single_pictures_give() -> None:
    model = detector("yolo_nas_n", score_threshold=0.05)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, size, np.uint8) for size in ((90, 160, 3), (64, 64, 3))]
    together = model.detect(images)
    for image, found in zip(images, together, strict=True):
        (alone,) = model.detect([image])
        np.testing.assert_allclose(found.xyxy, alone.xyxy, atol=1e-2)
        np.testing.assert_allclose(found.score, alone.score, atol=1e-4)


def test_people_and_cars_are_found_and_bottles_seldom(shared_dir: Path) -> None:
    clips = shared_dir / "clips"
    people = detect_all(clips / "one-by-one-person-detection.mp4", every=10)
    assert share(people, (0,)) >= 0.5
    cars = detect_all(clips / "car-detection.mp4", every=5)  # on the road a third of the time
    assert share(cars, VEHICLES, least_score=0.25) >= 0.25
    bottles = detect_all(clips / "bottle-detection.mp4", every=2)
    assert share(bottles, (0, *VEHICLES)) < 0.02


@pytest.mark.timeout(300)
def test_the_synthetic_street_is_seen_and_counted(tmp_path: Path) -> None:
    """The short form of `python -m benchmarks.street`: not below what the model card says."""
    result = measure("yolo_nas_n_int8", 8, SCENES[1:5], tmp_path)
    assert result.ap50["person"] >= 0.75
    assert result.ap50["car"] >= 0.9
    assert result.count_error <= 0.25  # few crossings in 8 s; the benchmark has the real figure
