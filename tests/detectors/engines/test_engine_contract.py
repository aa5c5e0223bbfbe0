"""What `detectors.base.Engine` promises, held over every runtime that this machine has."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from detectors.base import Engine, Precision
from detectors.engines.device import why_no_cuda
from detectors.engines.model_header import ModelHeader
from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.engines.open import EngineChoice, EngineOptions, Hint, open_engine
from detectors.yolo_nas.detector import WEIGHTS, Description
from detectors.yolo_nas.proof import LIMITS, Answer, answers
from pipeline.core.arrays import F32, AnyArray
from pipeline.core.errors import EngineLoadError, EngineRunError

FP32, INT8 = WEIGHTS / "yolo_nas_n.onnx", WEIGHTS / "yolo_nas_n_int8.onnx"
SETTINGS: list[tuple[EngineChoice, Hint]] = [
    ("onnxruntime", "latency"),
    ("onnxruntime", "throughput"),
    ("openvino", "latency"),
    ("openvino", "throughput"),
    ("tensorrt", "latency"),
]


@pytest.fixture(scope="module", params=SETTINGS, ids="-".join)
def options(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> EngineOptions:
    name, hint = request.param
    if name == "openvino":
        pytest.importorskip("openvino", reason="needs the openvino extra")
    if name == "tensorrt":
        missing = why_no_cuda()
        if missing:
            pytest.skip(missing)
        pytest.importorskip("tensorrt", reason="needs the gpu extra")
    cache = tmp_path_factory.mktemp("cache")
    return EngineOptions(engine=name, hint=hint, threads=2, max_batch=4, cache=cache)


@pytest.fixture(scope="module", params=[FP32, INT8], ids=["fp32", "int8"])
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture(scope="module")
def engine(options: EngineOptions, path: Path) -> Iterator[Engine]:
    opened = open_engine(path, options)
    yield opened
    opened.close()


def images(count: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).random((count, 3, 416, 416), np.float32)


def test_an_engine_says_what_and_where_it_is(
    engine: Engine, options: EngineOptions, path: Path
) -> None:
    header = ModelHeader.read(path)
    assert engine.name.startswith(f"{options.engine}-")
    assert engine.device.strip()
    assert "\n" not in engine.device
    assert engine.precision == header.precision
    assert engine.metadata == header.metadata
    assert [(spec.dtype, spec.shape) for spec in (*engine.inputs, *engine.outputs)] == [
        ("float32", (None, 3, 416, 416)),
        ("float32", (None, 3549, 4)),
        ("float32", (None, 3549, 5)),
    ]


def test_batches_of_any_size_give_what_single_pictures_give(engine: Engine) -> None:
    batch = images(4)
    alone = [engine.run(batch[n : n + 1]) for n in range(4)]
    for size in (1, 4, 3):
        boxes, scores = engine.run(batch[:size])
        assert (boxes.shape, scores.shape) == ((size, 3549, 4), (size, 3549, 5))
        for n in range(size):
            np.testing.assert_allclose(boxes[n], alone[n][0][0], atol=2e-2)
            np.testing.assert_allclose(scores[n], alone[n][1][0], atol=1e-4)


def test_outputs_belong_to_the_caller(engine: Engine) -> None:
    first = engine.run(images(2, seed=1))
    kept = [array.copy() for array in first]
    engine.run(images(2, seed=2))
    for array, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, copy)
        array[:] = 0


def test_as_many_threads_as_it_says_may_run_it_at_once(engine: Engine) -> None:
    pictures = [images(1, seed) for seed in range(4)]
    wanted = [engine.run(picture) for picture in pictures]
    together = threading.Barrier(engine.concurrency)

    def run(shift: int) -> list[tuple[AnyArray, ...]]:
        together.wait(10)
        return [engine.run(pictures[(n + shift) % 4]) for n in range(4)]

    with ThreadPoolExecutor(engine.concurrency) as pool:
        for shift, found in enumerate(pool.map(run, range(engine.concurrency))):
            for n, outputs in enumerate(found):
                for before, now in zip(wanted[(n + shift) % 4], outputs, strict=True):
                    np.testing.assert_array_equal(before, now)


def test_inputs_that_do_not_fit_are_told_and_change_nothing(engine: Engine) -> None:
    wanted = engine.run(images(1))
    for wrong in ([images(1)[:, :2]], [images(1)[..., :64]]):
        with pytest.raises(EngineRunError) as caught:
            engine.run(*wrong)
        assert "\n" not in str(caught.value)
    for before, after in zip(wanted, engine.run(images(1)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_every_runtime_computes_what_onnx_runtime_does(engine: Engine, path: Path) -> None:
    reference = OnnxRuntimeEngine(path, 2)
    processing = Description.read(engine.metadata, path.name).processing
    limit = LIMITS[engine.precision, engine.precision]
    for wanted, found in zip(
        answers(reference, processing), answers(engine, processing), strict=True
    ):
        gap = Answer.of(*wanted, processing.input_size).gap(*found)
        assert gap.above(limit) == ""


def test_a_closed_engine_stays_closed(options: EngineOptions) -> None:
    engine = open_engine(INT8, options)
    engine.close()
    engine.close()
    with pytest.raises(EngineRunError, match="closed"):
        engine.run(images(1))


def test_a_precision_that_the_file_is_not_is_refused(options: EngineOptions) -> None:
    cases: list[tuple[Path, Precision, str]] = [
        (FP32, "int8", "eyrie model quantize"),
        (INT8, "fp32", "give its fp32 file"),
    ]
    for path, precision, way in cases:
        asked = EngineOptions(engine=options.engine, precision=precision, threads=2)
        with pytest.raises(EngineLoadError, match=way) as caught:
            open_engine(path, asked)
        assert path.name in str(caught.value)
