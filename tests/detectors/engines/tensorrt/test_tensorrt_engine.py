"""The TensorRT engine against a fake of each version's Python interface; no GPU is involved."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from detectors.base import Precision
from detectors.engines.options import EngineOptions
from detectors.engines.tensorrt import TensorRtEngine
from detectors.engines.tensorrt.builder import BuildOptions
from detectors.engines.tensorrt.plan import PlanCache
from detectors.engines.tensorrt.preparation import build_plan
from pipeline.core.arrays import F32
from pipeline.core.errors import EngineLoadError, EngineRunError
from tests.detectors.engines.tensorrt.conftest import MakePlatform
from tests.detectors.engines.tensorrt.contracted import VERSIONS, World
from tests.detectors.engines.tensorrt.host_stream import HostStream
from tests.detectors.engines.tensorrt.small_network import SIDE, network, quantized, saved

OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]
WITH_FLAGS = [version for version in VERSIONS if version.startswith("10.")]


def pictures(count: int) -> F32:
    rng = np.random.default_rng(count)
    return rng.random((count, 3, SIDE, SIDE), np.float32)


def options(
    tmp_path: Path, max_batch: int = 4, precision: Precision | None = None
) -> EngineOptions:
    return EngineOptions(max_batch=max_batch, cache=tmp_path / "cache", precision=precision)


def reference(path: Path, images: F32) -> list[F32]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [np.asarray(out) for out in session.run(["boxes", "scores"], {"images": images})]


def test_int8_file_runs_as_onnx_runtime_runs_it(
    version: str, make_platform: MakePlatform, int8_file: Path, tmp_path: Path
) -> None:
    engine = TensorRtEngine(int8_file, options(tmp_path), make_platform(version))
    assert (engine.name, engine.device, engine.precision) == ("tensorrt-cuda", "Fake GPU", "int8")
    assert engine.batch_limit == 4
    assert engine.metadata["made"] == "here"
    assert [spec.name for spec in engine.inputs] == ["images"]
    assert [spec.shape for spec in engine.outputs] == [(None, 256, 4), (None, 256, 2)]
    for count in (1, 4, 2, 1):
        images = pictures(count)
        boxes, scores = engine.run(images)
        wanted = reference(int8_file, images)
        # one grid step of the last quantized tensor, 4 / 127, through the sigmoid's slope of 1 / 4
        np.testing.assert_allclose(boxes, wanted[0], atol=0.02 * 640)
        np.testing.assert_allclose(scores, wanted[1], atol=0.02)
    engine.close()
    engine.close()
    with pytest.raises(EngineRunError, match="closed"):
        engine.run(pictures(1))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 2e-3)])
def test_fp32_file_runs_in_fp32_and_fp16(
    version: str,
    make_platform: MakePlatform,
    fp32_file: Path,
    tmp_path: Path,
    precision: Precision,
    tolerance: float,
) -> None:
    wanted = options(tmp_path, precision=precision)
    engine = TensorRtEngine(fp32_file, wanted, make_platform(version))
    assert engine.precision == precision
    boxes, scores = engine.run(pictures(3))
    expected = reference(fp32_file, pictures(3))
    np.testing.assert_allclose(boxes, expected[0], atol=tolerance * 640)
    np.testing.assert_allclose(scores, expected[1], atol=tolerance)


def test_network_is_strongly_typed_by_name(
    version: str, make_platform: MakePlatform, int8_file: Path, tmp_path: Path, world: World
) -> None:
    TensorRtEngine(int8_file, options(tmp_path), make_platform(version))
    assert world.networks == [2 if version in WITH_FLAGS else 1]
    assert world.flags == []


def test_tf32_is_off_in_fp32(
    version: str, make_platform: MakePlatform, fp32_file: Path, tmp_path: Path, world: World
) -> None:
    TensorRtEngine(fp32_file, options(tmp_path), make_platform(version))
    assert world.flags == ["-TF32"]


def test_failing_strong_typing_falls_back_to_flags_where_there_are_any(
    version: str,
    make_platform: MakePlatform,
    int8_file: Path,
    tmp_path: Path,
    world: World,
    caplog: pytest.LogCaptureFixture,
) -> None:
    world.faults.add("strong")
    build = BuildOptions(precision="int8", max_batch=4, best_batch=1)
    cache = PlanCache(tmp_path / "cache")
    if version not in WITH_FLAGS:
        with pytest.raises(EngineLoadError, match="cannot build: no implementation of a layer"):
            build_plan(int8_file, build, make_platform(version), cache)
        return
    with caplog.at_level(logging.WARNING):
        plan = build_plan(int8_file, build, make_platform(version), cache)
    assert plan.typing == "flags"
    assert world.flags == ["INT8", "FP16"]
    assert world.networks[1] == 0
    assert "flags instead of strong typing" in caplog.text


def test_one_graph_per_batch_size(
    make_platform: MakePlatform, int8_file: Path, tmp_path: Path, world: World
) -> None:
    stream = HostStream()
    platform = make_platform(NEWEST, stream=stream)
    engine = TensorRtEngine(int8_file, options(tmp_path), platform)
    assert stream.captured == 0
    for count in (2, 2, 3, 2):
        engine.run(pictures(count))
    assert stream.captured == 2
    assert stream.replayed == 4
    assert world.executed == [2, 2, 2, 3, 3, 2]  # the first of a size runs before it is captured


def test_tensors_stay_where_they_are(
    make_platform: MakePlatform, int8_file: Path, tmp_path: Path
) -> None:
    engine = TensorRtEngine(int8_file, options(tmp_path), make_platform(OLDEST))
    (buffer,) = engine.input_buffers(2)
    buffer.copy_(torch.from_numpy(pictures(2)))
    first = engine.run_cuda(buffer)
    again = engine.run_cuda(torch.from_numpy(pictures(2)))
    assert [out.data_ptr() for out in first] == [out.data_ptr() for out in again]
    np.testing.assert_array_equal(first[1].numpy(), engine.run(pictures(2))[1])


def test_outputs_of_run_belong_to_the_caller(
    make_platform: MakePlatform, int8_file: Path, tmp_path: Path
) -> None:
    engine = TensorRtEngine(int8_file, options(tmp_path), make_platform(OLDEST))
    scores = engine.run(pictures(1))[1]
    before = scores.copy()
    engine.run(1 - pictures(1))
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize(
    "images", [pictures(5), pictures(1)[:0], pictures(1).astype(np.float64), pictures(1)[..., :8]]
)
def test_batches_that_do_not_fit_are_refused(
    make_platform: MakePlatform, int8_file: Path, tmp_path: Path, images: F32
) -> None:
    engine = TensorRtEngine(int8_file, options(tmp_path), make_platform(NEWEST))
    with pytest.raises(EngineRunError, match=r"built for 1 to 4|takes \[\('float32'"):
        engine.run(images)
    assert len(engine.run(pictures(1))) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("parse", "cannot read it: /a/Conv: In node 0: UNSUPPORTED_NODE"),
        ("build", "cannot build: no implementation of a layer"),
        ("profile", "takes no batches of 1 to 4"),
        ("timings", "not even an empty timing cache"),
        ("deserialize", "does not load its plan: out of memory"),
        ("int8", "runs none of its 3 INT8 convolutions in INT8"),
    ],
)
def test_every_refusal_while_loading_is_one_line(
    version: str,
    make_platform: MakePlatform,
    int8_file: Path,
    tmp_path: Path,
    world: World,
    fault: str,
    said: str,
) -> None:
    world.faults.add(fault)
    with pytest.raises(EngineLoadError) as error:
        TensorRtEngine(int8_file, options(tmp_path), make_platform(version))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("context", "no execution context: out of memory"),
        ("choose", "refuses its optimization profile"),
        ("shape", "refuses a batch of 2 for images"),
        ("address", "refuses the buffer of"),
        ("execute", "fails on a batch of 2: an address or a shape is missing"),
    ],
)
def test_every_refusal_while_running_is_one_line(
    version: str,
    make_platform: MakePlatform,
    int8_file: Path,
    tmp_path: Path,
    world: World,
    fault: str,
    said: str,
) -> None:
    engine = TensorRtEngine(int8_file, options(tmp_path), make_platform(version))
    world.faults.add(fault)
    with pytest.raises(EngineRunError) as error:
        engine.run(pictures(2))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    world.faults.clear()
    assert len(engine.run(pictures(2))) == 2


def test_too_little_gpu_memory_is_one_line(
    make_platform: MakePlatform, int8_file: Path, tmp_path: Path
) -> None:
    platform = make_platform(NEWEST, stream=HostStream(free_bytes=100))
    with pytest.raises(EngineLoadError, match=r"9 MiB of GPU memory are needed.*max_batch than 4"):
        TensorRtEngine(int8_file, options(tmp_path), platform)


def test_opset_too_new_is_refused_before_tensorrt_sees_it(
    make_platform: MakePlatform, tmp_path: Path, world: World
) -> None:
    model = network()
    model.opset_import[0].version = 23
    path = saved(model, tmp_path / "new.onnx")
    with pytest.raises(EngineLoadError, match=r"opset 23.*up to 21"):
        TensorRtEngine(path, options(tmp_path), make_platform(NEWEST))
    assert world.networks == []


def test_unsigned_grids_are_refused(make_platform: MakePlatform, tmp_path: Path) -> None:
    model = quantized()
    zero = next(t for t in model.graph.initializer if t.name.startswith("images.zero"))
    zero.CopyFrom(onnx.numpy_helper.from_array(np.array(128, np.uint8), zero.name))
    path = saved(model, tmp_path / "unsigned.onnx")
    with pytest.raises(EngineLoadError, match="uint8 around 128, but TensorRT runs only int8"):
        TensorRtEngine(path, options(tmp_path), make_platform(NEWEST))


@pytest.mark.parametrize(
    ("file", "precision"),
    [("fp32_file", "int8"), ("int8_file", "fp16"), ("int8_file", "fp32")],
)
def test_precision_that_a_file_does_not_have_is_an_error(
    request: pytest.FixtureRequest,
    make_platform: MakePlatform,
    tmp_path: Path,
    file: str,
    precision: Precision,
) -> None:
    wanted = options(tmp_path, precision=precision)
    with pytest.raises(EngineLoadError, match=f"not in {precision}"):
        TensorRtEngine(request.getfixturevalue(file), wanted, make_platform(NEWEST))


def test_what_is_no_model_is_one_line(make_platform: MakePlatform, tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(EngineLoadError, match="no ONNX file"):
        TensorRtEngine(path, options(tmp_path), make_platform(NEWEST))
    with pytest.raises(EngineLoadError, match="No such file"):
        TensorRtEngine(tmp_path / "none.onnx", options(tmp_path), make_platform(NEWEST))
