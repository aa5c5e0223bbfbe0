"""A quantized file on ONNX Runtime: what runs in 8 bits, by the runtime's own profile."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import onnx

from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.engines.planned import planned_layers
from detectors.engines.profile import computed_in_int8, onnxruntime_steps, openvino_steps
from detectors.quantize.calibrate import ranges
from detectors.quantize.graph import Graph
from detectors.quantize.qdq import activations, layer_names, quantize
from pipeline.core.arrays import F32
from pipeline.core.errors import EngineLoadError

SIZE = (64, 96)
PREDICTIONS = 6


def noise(count: int = 1) -> F32:
    return np.random.default_rng(4).random((count, 3, *SIZE), np.float32)


def write(float_file: Path, out: Path, skip: list[str]) -> Path:
    graph = Graph.load(float_file)
    model = quantize(graph, ranges(graph, activations(graph), [noise()], "max"), skip=skip)
    onnx.helper.set_model_props(model, {"eyrie.precision": "int8"})
    onnx.save(model, out)
    return out


@pytest.fixture(scope="module")
def small_file(float_file: Path) -> Path:
    return write(float_file, float_file.with_name("int8.onnx"), [])


def planned(path: Path) -> list[str]:
    return [layer.name for layer in planned_layers(Graph.load(path)) if layer.precision == "int8"]


def test_every_planned_convolution_runs_in_int8(small_file: Path) -> None:
    steps = onnxruntime_steps(small_file, noise(), threads=1, runs=2)
    assert len(planned(small_file)) == 78
    assert computed_in_int8(steps, planned(small_file)) == planned(small_file)
    kinds = Counter(step.kind for step in steps)
    assert kinds["float convolution"] == 0
    assert kinds["int8 convolution"] == 78


def test_only_the_picture_is_quantized_and_only_the_decoding_is_float(small_file: Path) -> None:
    steps = onnxruntime_steps(small_file, noise(), threads=1, runs=2)
    operators = Counter(step.operator for step in steps)
    assert operators["QuantizeLinear"] == 1
    assert operators["DequantizeLinear"] == 0
    assert operators["Relu"] == operators["ConvTranspose"] == 0
    assert operators["Transpose"] <= 3
    stray = [s for s in steps if s.kind == "other float" and "/heads/" not in s.layers[0]]
    assert stray == []


def test_hybrid_file_has_its_layers_in_float(float_file: Path, tmp_path: Path) -> None:
    skip = [name for name in layer_names(Graph.load(float_file)) if "_pred/" in name]
    hybrid = write(float_file, tmp_path / "hybrid.onnx", skip)
    steps = onnxruntime_steps(hybrid, noise(), threads=1, runs=2)
    assert len(planned(hybrid)) == 78 - PREDICTIONS
    assert computed_in_int8(steps, planned(hybrid)) == planned(hybrid)
    assert sum(step.kind == "float convolution" for step in steps) == PREDICTIONS


def test_openvino_runs_every_planned_convolution_in_int8(small_file: Path) -> None:
    pytest.importorskip("openvino", reason="needs the openvino extra")
    steps = openvino_steps(small_file, noise(), threads=1, runs=2)
    assert computed_in_int8(steps, planned(small_file)) == planned(small_file)


def test_profile_of_a_float_file_has_no_integers(float_file: Path) -> None:
    kinds = Counter(s.kind for s in onnxruntime_steps(float_file, noise(), threads=1, runs=2))
    assert kinds["int8 convolution"] == kinds["quantize"] == 0
    assert kinds["float convolution"] == 78


def test_batch_gives_the_results_of_single_pictures(small_file: Path) -> None:
    engine = OnnxRuntimeEngine(small_file, 1)
    assert engine.precision == "int8"
    images = noise(3)
    together = engine.run(images)
    for n in range(3):
        for whole, alone in zip(together, engine.run(images[n : n + 1]), strict=True):
            np.testing.assert_allclose(whole[n], alone[0], rtol=1e-4, atol=1e-3)
    engine.close()


def test_spinning_changes_no_number(small_file: Path) -> None:
    asleep, awake = OnnxRuntimeEngine(small_file, 2), OnnxRuntimeEngine(small_file, 2, spin=True)
    for a, b in zip(asleep.run(noise()), awake.run(noise()), strict=True):
        np.testing.assert_array_equal(a, b)
    asleep.close()
    awake.close()


def test_names_shapes_and_metadata_are_those_of_the_file(
    float_file: Path, small_file: Path
) -> None:
    whole, small = OnnxRuntimeEngine(float_file, 1), OnnxRuntimeEngine(small_file, 1)
    assert (small.inputs, small.outputs) == (whole.inputs, whole.outputs)
    assert small.metadata == {"eyrie.precision": "int8"}
    whole.close()
    small.close()


def test_without_the_package_the_error_says_what_to_install(
    small_file: Path, float_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "detectors.engines.rewrite", None)
    with pytest.raises(EngineLoadError, match=r"int8.onnx: .* pip install onnx$"):
        OnnxRuntimeEngine(small_file, 1)
    OnnxRuntimeEngine(float_file, 1).close()


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_cut_file_is_one_line(small_file: Path, tmp_path: Path, keep: float) -> None:
    content = small_file.read_bytes()
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(EngineLoadError, match=r"cut.onnx: not an ONNX file") as caught:
        OnnxRuntimeEngine(cut, 1)
    assert "\n" not in str(caught.value)
