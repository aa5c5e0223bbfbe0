"""Engines prove themselves before they take traffic; wrong ones are refused with the difference."""

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from benchmarks import proof_pictures
from detectors.engines.open import EngineChoice, EngineOptions, open_engine
from detectors.yolo_nas.attach_proof import attach
from detectors.yolo_nas.detector import METADATA_KEY, WEIGHTS, YoloNasDetector
from detectors.yolo_nas.predict.predictor import YoloNAS
from detectors.yolo_nas.proof import (
    LIMITS,
    PICTURES,
    PROOF_KEY,
    Answer,
    Gap,
    pictures,
    pictures_sha256,
)
from pipeline.core.errors import EngineLoadError

FP32, INT8 = WEIGHTS / "yolo_nas_n.onnx", WEIGHTS / "yolo_nas_n_int8.onnx"
Model = Any


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """Copies of the bundled files with what they answer now."""
    folder = tmp_path_factory.mktemp("proved")
    copies = {path: Path(shutil.copy(path, folder)) for path in (FP32, INT8)}
    for copy in copies.values():
        attach(copy)
    return copies


def opened(path: Path, engine: EngineChoice = "onnxruntime") -> YoloNasDetector:
    return YoloNasDetector(open_engine(path, EngineOptions(engine=engine, threads=2)), path)


def changed(path: Path, out: Path, change: Callable[[Model], object]) -> Path:
    model = onnx.load(path)
    change(model)
    onnx.save(model, out)
    return out


def test_the_pictures_are_small_and_the_ones_that_the_script_draws() -> None:
    files = sorted(PICTURES.iterdir())
    assert [file.name for file in files] == sorted(proof_pictures.SCENES)
    assert all(file.stat().st_size <= 40_000 for file in files)
    for file, stored in zip(files, pictures(), strict=True):
        drawn = proof_pictures.draw(*proof_pictures.SCENES[file.name])
        np.testing.assert_array_equal(drawn, stored)
    content = b"".join(file.read_bytes() for file in files)
    assert pictures_sha256() == hashlib.sha256(content).hexdigest()


def test_the_default_model_sees_people_and_vehicles_in_them() -> None:
    detector = opened(FP32)
    seen = {
        detector.labels[class_id]
        for found in detector.detect(pictures())
        for class_id in found.class_id[found.score >= 0.5]
    }
    assert {"person", "car", "bus"} <= seen


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("source", [FP32, INT8], ids=["fp32", "int8"])
def test_the_bundled_models_prove_themselves(
    proved: dict[Path, Path], source: Path, engine: EngineChoice
) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino", reason="needs the openvino extra")
    detector = opened(proved[source], engine)
    assert detector.proof is not None
    assert detector.proof.above(LIMITS[detector.precision, detector.precision]) == ""


def test_the_bundled_files_hold_their_answers() -> None:
    for path in (FP32, INT8):
        assert opened(path).proof is not None


def zero_a_kernel(name: str) -> Callable[[Model], None]:
    def change(model: Model) -> None:
        kernels = (t for t in model.graph.initializer if len(t.dims) == 4)
        (tensor,) = (t for t in kernels if t.name.startswith(name))
        values = np.zeros(tensor.dims, onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    return change


def swap_classes(model: Model) -> None:
    for tensor in model.graph.initializer:
        if "cls_pred" in tensor.name and tensor.dims[0] == 5:
            values = numpy_helper.to_array(tensor)[[0, 1, 2, 4, 3]]
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def prepare(**said: Any) -> Callable[[Model], None]:
    """Pictures are prepared otherwise than they were when the file was made."""

    def change(model: Model) -> None:
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        model_said = json.loads(metadata[METADATA_KEY])
        model_said["preprocessing"] |= said
        onnx.helper.set_model_props(model, metadata | {METADATA_KEY: json.dumps(model_said)})

    return change


@pytest.mark.parametrize("source", [FP32, INT8], ids=["fp32", "int8"])
@pytest.mark.parametrize(
    "change",
    [
        zero_a_kernel("neck.neck2.blocks.conv3.conv.weight"),
        zero_a_kernel("backbone.stage4.blocks.conv2.conv.weight"),
        swap_classes,
        prepare(color="bgr"),
        prepare(std=[127.0] * 3),
        prepare(mean=[128.0] * 3),
    ],
    ids=["neck kernel", "backbone kernel", "classes", "colour", "std", "mean"],
)
def test_a_wrong_model_is_refused_with_the_difference(
    proved: dict[Path, Path], source: Path, change: Callable[[Model], None], tmp_path: Path
) -> None:
    path = changed(proved[source], tmp_path / "wrong.onnx", change)
    with pytest.raises(EngineLoadError, match=r"answers otherwise .*\(at most 0\.") as caught:
        opened(path)
    assert "\n" not in str(caught.value)
    assert "wrong.onnx: onnxruntime-cpu in" in str(caught.value)


def test_whoever_asks_how_good_a_wrong_model_is_gets_a_warning(
    proved: dict[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = changed(proved[INT8], tmp_path / "wrong.onnx", prepare(color="bgr"))
    model = YoloNAS.load(path)
    assert "answers otherwise" in caplog.text
    assert len(model.predict(pictures()[0]).prediction) >= 0


def keep(model: Model, proof: str | None) -> None:
    """Put other answers, or none, in place of those in the metadata."""
    metadata = {entry.key: entry.value for entry in model.metadata_props if entry.key != PROOF_KEY}
    onnx.helper.set_model_props(model, metadata | ({PROOF_KEY: proof} if proof else {}))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: keep(model, proof=None),
        lambda model: keep(model, proof=json.dumps({"pictures_sha256": "0", "answers": {}})),
    ],
    ids=["none", "of other pictures"],
)
def test_a_file_without_answers_is_told_and_runs(
    proved: dict[Path, Path],
    tmp_path: Path,
    change: Callable[[Model], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = changed(proved[INT8], tmp_path / "older.onnx", change)
    detector = opened(path)
    assert detector.proof is None
    (record,) = (one for one in caplog.records if one.levelno == logging.WARNING)
    assert "older.onnx: its answers cannot be checked" in record.getMessage()
    assert len(detector.detect(pictures())) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda said: "{",
        lambda said: "[]",
        lambda said: json.dumps(said | {"answers": {"int8": said["answers"]["int8"][:1]}}),
        lambda said: json.dumps(said | {"answers": {"int8": [{"anchors": [0]}] * 2}}),
        lambda said: json.dumps(
            said | {"answers": {"int8": [one | {"anchors": [99999] * 36}
                                         for one in said["answers"]["int8"]]}}
        ),
        lambda said: json.dumps(
            said | {"answers": {"int8": [one | {"elsewhere": [0.1]}
                                         for one in said["answers"]["int8"]]}}
        ),
    ],
    ids=["no JSON", "a list", "one picture", "keys", "anchors", "classes"],
)  # fmt: skip
def test_damaged_answers_are_told(
    proved: dict[Path, Path], tmp_path: Path, damage: Callable[[Any], str]
) -> None:
    def change(model: Model) -> None:
        said = {entry.key: entry.value for entry in model.metadata_props}[PROOF_KEY]
        keep(model, proof=damage(json.loads(said)))

    path = changed(proved[INT8], tmp_path / "damaged.onnx", change)
    with pytest.raises(EngineLoadError, match=r"metadata 'eyrie\.proof' is damaged"):
        opened(path)


def test_an_int8_file_is_held_against_its_float_model_too(
    proved: dict[Path, Path], tmp_path: Path
) -> None:
    """As quantization leaves it: the float answers are copied, its own are added."""

    def change(model: Model) -> None:
        floats = {entry.key: entry.value for entry in onnx.load(proved[FP32]).metadata_props}
        keep(model, proof=floats[PROOF_KEY])

    path = changed(INT8, tmp_path / "both.onnx", change)
    attach(path)
    said = json.loads(open_engine(path, EngineOptions()).metadata[PROOF_KEY])
    assert set(said["answers"]) == {"fp32", "int8"}
    assert opened(path).proof is not None


def test_a_gap_is_above_its_limit_also_where_it_is_no_number() -> None:
    limit = Gap(0.1, 0.2, 0.3)
    assert Gap(0.1, 0.2, 0.3).above(limit) == ""
    assert Gap(0.4, 0, 0).above(limit) == "scores by 0.4 (at most 0.1)"
    assert "boxes by nan" in replace(limit, boxes=math.nan).above(limit)
    assert Gap(1, 0, 3).worst(Gap(0, 2, 4)) == Gap(1, 2, 4)


def test_an_answer_keeps_the_best_anchors_of_every_level() -> None:
    rng = np.random.default_rng(0)
    boxes = rng.random((126, 4), np.float32).cumsum(axis=1) * 10
    scores = rng.random((126, 2), np.float32)
    answer = Answer.of(boxes, scores, (64, 96))
    counts = np.histogram(answer.anchors, [0, 96, 120, 126])[0]
    assert counts.tolist() == [12, 12, 6]
    assert answer.gap(boxes, scores) == Gap(0, 0, 0)
    stored = Answer.from_json(json.loads(json.dumps(answer.to_json())), 126, 2)
    assert stored.gap(boxes, scores).above(Gap(1e-4, 1e-2, 1e-4)) == ""
    other = scores.copy()
    hidden = np.setdiff1d(np.arange(126), answer.anchors)[0]
    other[hidden] = 1
    assert answer.gap(boxes, other).elsewhere == pytest.approx(1 - answer.elsewhere.min())
