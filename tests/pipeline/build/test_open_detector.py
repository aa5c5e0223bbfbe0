"""From the section `model` to a detector on an engine."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from detectors.engines.device import why_no_cuda
from detectors.yolo_nas.detector import WEIGHTS
from pipeline.build.detector import engine_options, make_detector
from pipeline.config import PipelineConfig
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError, EngineLoadError

CAMERA = {"id": "gate", "source": {"kind": "rtsp", "url": "rtsp://192.0.2.1/s"}}
FILE = {"id": "yard", "source": {"kind": "file", "path": "yard.mp4"}}


def config(model: dict[str, Any], *streams: dict[str, Any], size: int = 4) -> PipelineConfig:
    data = {"streams": list(streams) or [FILE], "model": model, "batch": {"size": size}}
    return parse_config({**data, "sinks": [{"kind": "jsonl", "path": "-"}]})


def test_every_key_of_the_engine_reaches_it() -> None:
    said = {
        "engine": "openvino", "precision": "fp32", "threads": 3, "hint": "latency",
        "max_batch": 8, "cache": "compiled",
    }  # fmt: skip
    options = engine_options(config(said))
    assert (options.engine, options.precision, options.threads) == ("openvino", "fp32", 3)
    assert (options.hint, options.max_batch, options.cache) == ("latency", 8, Path("compiled"))


def test_batches_are_as_large_as_the_pipeline_makes_them() -> None:
    assert engine_options(config({}, size=32)).max_batch == 32
    with pytest.raises(ConfigError, match=r"batch\.size 9 is more than model\.max_batch 8"):
        config({"max_batch": 8}, size=9)


@pytest.mark.parametrize(
    ("streams", "size", "hint"),
    [
        ([FILE], 4, "throughput"),
        ([FILE], 1, "latency"),
        ([CAMERA], 4, "latency"),
        ([CAMERA, FILE], 4, "throughput"),
    ],
    ids=["file", "single frames", "camera", "both"],
)
def test_the_hint_follows_from_the_batches_to_be_expected(
    streams: list[dict[str, Any]], size: int, hint: str
) -> None:
    assert engine_options(config({}, *streams, size=size)).hint == hint


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("engine", "onnx"),
        ("precision", "int4"),
        ("precision", "bf16"),
        ("hint", "fast"),
        ("max_batch", 0),
        ("threads", -1),
        ("cache", "http://host/cache"),
    ],
)
def test_what_no_engine_knows_is_refused_with_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"model.{key}"):
        config({key: value})


def test_the_precision_picks_the_bundled_file_and_is_what_runs() -> None:
    wanted = config({"name": "yolo_nas_n", "engine": "onnxruntime", "precision": "int8"})
    detector = make_detector(wanted.model, 0.5, engine_options(wanted))
    assert (detector.name, detector.precision) == ("yolo_nas_n_int8", "int8")
    assert (detector.engine_name, bool(detector.device)) == ("onnxruntime-cpu", True)
    detector.close()


def test_a_path_of_another_precision_is_refused() -> None:
    path = str(WEIGHTS / "yolo_nas_n.onnx")
    wanted = config({"name": path, "engine": "onnxruntime", "precision": "int8"})
    with pytest.raises(EngineLoadError, match=r"in fp32, not in int8 .*eyrie model quantize"):
        make_detector(wanted.model, 0.5, engine_options(wanted))


def test_an_engine_is_closed_when_its_detector_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = []
    wanted = config({"engine": "onnxruntime", "classes": ["unicorn"]})
    from detectors.engines.onnxruntime import OnnxRuntimeEngine

    monkeypatch.setattr(OnnxRuntimeEngine, "close", lambda self: closed.append(self))
    with pytest.raises(EngineLoadError, match="no class unicorn"):
        make_detector(wanted.model, 0.5, engine_options(wanted))
    assert len(closed) == 1


@pytest.mark.skipif(why_no_cuda() is None, reason="a CUDA GPU answers")
def test_the_command_line_tells_of_an_engine_that_is_not_there(tmp_path: Path) -> None:
    command = [
        sys.executable, "-c", "from pipeline.cli import main; main()", "detect", "street:1",
        "--engine", "tensorrt", "--max-frames", "1", "--out", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("eyrie: model yolo_nas_n_int8.onnx: engine tensorrt cannot be used")
