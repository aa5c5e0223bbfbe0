"""The benchmark for GPUs: that it refuses to run without one, and, on the fake, what it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.gpu import timing
from benchmarks.gpu.__main__ import all_hold, main, pairs, run
from benchmarks.gpu.agreement import as_good, matched, street
from detectors.engines.device import why_no_cuda
from detectors.engines.tensorrt.platform import Platform
from detectors.quantize.calibrate import ranges
from detectors.quantize.graph import Graph
from detectors.quantize.qdq import activations, quantize
from detectors.yolo_nas.detector import Description, resolve
from pipeline.core.detections import Detections
from tests.detectors.engines.tensorrt.conftest import MakePlatform
from tests.detectors.engines.tensorrt.contracted import VERSIONS

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.skipif(why_no_cuda() is None, reason="this machine has a GPU")
def test_without_a_gpu_it_is_one_line_and_an_exit_code() -> None:
    command = [sys.executable, "-m", "benchmarks.gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert done.stderr.startswith("benchmarks.gpu: engine tensorrt: no NVIDIA driver")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model and what quantization makes of it, with ranges of one street picture."""
    made = tmp_path_factory.mktemp("models")
    source = resolve("yolo_nas_n")
    (made / "yolo_nas_n.onnx").write_bytes(source.read_bytes())
    (made / "alone_int8.onnx").write_bytes(b"")
    graph = Graph.load(source)
    metadata = {entry.key: entry.value for entry in graph.model.metadata_props}
    picture, _ = Description.read(metadata, source.name).processing.prepare_batch(street(1))
    model = quantize(graph, ranges(graph, activations(graph), [picture], "max"))
    onnx.helper.set_model_props(model, metadata | {"eyrie.precision": "int8"})
    onnx.save(model, made / "yolo_nas_n_int8.onnx")
    return made


def test_figures_on_the_fake(
    make_platform: MakePlatform,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timing, "WARM_ROUNDS", 0)
    monkeypatch.setattr(timing, "IN_FLIGHT", 1)
    platform = make_platform(VERSIONS[0])
    monkeypatch.setattr(Platform, "find", classmethod(lambda cls: platform))
    figures = run(platform, pairs(folder), street(1), [1], 1, tmp_path / "cache")
    assert figures["machine"]["gpu"] == "Fake GPU"
    assert figures["machine"]["tensorrt"] == VERSIONS[0]
    (model,) = figures["models"].values()
    assert model["built"]["int8_share"] == 1.0
    assert model["built"]["typing"] == {"int8": "strong", "fp16": "strong"}
    assert set(model["engines"]) == {f"{p} batch {b}" for p in ("int8", "fp16") for b in (1,)}
    agreement = model["agreement_with_onnxruntime"]
    assert 0 < agreement["engine"]["scores_mean_gap"] < 0.01
    assert agreement["engine"]["detections"] > 5
    assert agreement["engine"]["shares"]["0.5"] > 0.8
    assert model["checks"]["int8_share"] is True
    assert model["checks"]["int8_gain"] is None
    json.dumps(figures)


@pytest.mark.parametrize(("held", "expected"), [(True, True), (None, True), (False, False)])
def test_one_check_that_fails_is_enough(held: bool | None, expected: bool) -> None:
    checks = {"int8_share": True, "agreement": held}
    assert all_hold({"models": {"n": {"checks": checks}}}) is expected


def test_refusal_is_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from detectors.engines.tensorrt import probe

    monkeypatch.setattr(probe, "why_no_cuda", lambda: "no NVIDIA driver")
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu"])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 3
    assert "no NVIDIA driver" in capsys.readouterr().err


def detections(*boxes: tuple[float, float, float, float, float, int]) -> Detections:
    rows = np.array(boxes, np.float32).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int32))


def test_detections_are_matched_both_ways() -> None:
    box, weak = (0, 0, 100, 100, 0.9, 0), (300, 0, 400, 100, 0.1, 0)
    moved, other = (0, 0, 100, 96, 0.8, 0), (200, 200, 300, 300, 0.5, 1)
    assert matched([detections(box, weak)], [detections(moved)], 0.95) == (2, 2)
    assert matched([detections(box)], [detections(moved)], 0.97) == (2, 0)
    assert matched([detections(box)], [detections(moved, other)], 0.95) == (3, 2)
    wrong_class = (0, 0, 100, 100, 0.9, 1)
    assert matched([detections(box)], [detections(wrong_class)], 0.5) == (2, 0)
    assert matched([detections()], [detections()], 0.5) == (0, 0)


@pytest.mark.parametrize(
    ("shares", "gap", "expected"),
    [
        ({"0.5": 0.97, "0.95": 0.61}, 0.001, True),
        ({"0.5": 0.97, "0.95": 0.5}, 0.001, False),
        ({"0.5": 0.97, "0.95": 0.61}, 0.002, False),
        ({"0.5": None, "0.95": None}, 0.001, True),
    ],
)
def test_agreement_is_judged_by_that_of_the_reference_with_noise(
    shares: dict[str, float | None], gap: float, expected: bool
) -> None:
    floor = {"shares": {"0.5": 0.98, "0.95": 0.62}, "scores_mean_gap": 0.001}
    assert as_good({"shares": shares, "scores_mean_gap": gap}, floor) is expected
