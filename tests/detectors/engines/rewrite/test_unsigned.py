"""A signed file and its unsigned form hold the same numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import onnx
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from detectors.engines.rewrite import rewritten
from detectors.engines.rewrite.substitutes import substituted
from detectors.engines.rewrite.unsigned import unsigned
from detectors.quantize.calibrate import ranges
from detectors.quantize.graph import Graph
from detectors.quantize.qdq import activations, layer_names, quantize
from pipeline.core.arrays import F32, F64, I64
from tests.detectors.engines.rewrite.graphs import Writer, picture
from tests.detectors.engines.rewrite.runs import run, showing

SIZE = (64, 96)
BATCH = 2


def noise(seed: int) -> F32:
    return np.random.default_rng(seed).random((BATCH, 3, *SIZE), np.float32)


def scene(seed: int) -> F32:
    """Smooth areas and edges, as pictures have."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((BATCH, 3, 4, 6), np.float32)
    return np.repeat(np.repeat(coarse, SIZE[0] // 4, 2), SIZE[1] // 6, 3)


@pytest.fixture(scope="module", params=["all", "hybrid"])
def signed(float_file: Path, request: pytest.FixtureRequest) -> onnx.ModelProto:
    """The whole detector, calibrated so that many values saturate; hybrid: a third stays float."""
    graph = Graph.load(float_file)
    reach = ranges(graph, activations(graph), [noise(1)], "max")
    skip = layer_names(graph)[1::3] if request.param == "hybrid" else []
    return quantize(graph, {name: value / 2 for name, value in reach.items()}, skip=skip)


@pytest.mark.parametrize("images", [noise(2), scene(3)])
def test_detector_gives_the_same_bits(signed: onnx.ModelProto, images: F32) -> None:
    """Without optimizations, every integer between convolutions and every output."""
    integers = [n.output[0] for n in signed.graph.node if n.op_type == "QuantizeLinear"]
    before = run(showing(signed, integers), images, optimized=False)
    after = run(showing(unsigned(signed), integers), images, optimized=False)
    assert len(before) == len(integers) + 2
    for name, values in before.items():
        shift = 128 if name in integers else 0
        np.testing.assert_array_equal(after[name].astype(np.float64) - shift, values)


def test_substitutes_give_the_same_integers(signed: onnx.ModelProto) -> None:
    """As the engine runs them."""
    plain = unsigned(signed)
    new = substituted(plain)
    made = {name for node in new.graph.node for name in node.output}
    clips = [n.output[0] for n in plain.graph.node if n.op_type == "Clip" and n.output[0] in made]
    assert len(clips) > 40
    before = run(showing(plain, clips), noise(2), optimized=True)
    after = run(showing(new, clips), noise(2), optimized=True)
    for name in clips:
        np.testing.assert_array_equal(before[name], after[name])
    np.testing.assert_allclose(after["boxes"], before["boxes"], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(after["scores"], before["scores"], rtol=1e-4, atol=1e-5)


def test_engine_computes_the_integers_of_the_file(signed: onnx.ModelProto) -> None:
    """Every layer: what the optimized graph makes of its integers is the exact result, rounded;
    only where that lies between two integers may it be the other one."""
    integers = [n.output[0] for n in signed.graph.node if n.op_type == "QuantizeLinear"]
    found = run(showing(unsigned(signed), integers), noise(2), optimized=True)
    layers = Layers(signed, {name: found[name].astype(np.int64) - 128 for name in integers})
    checked = 0
    for node in layers.graph.nodes:
        exact = layers.exact(node)
        if exact is None:
            continue
        real, made = exact
        off = np.abs(np.rint(real).clip(-128, 127) - made)
        between = np.abs(np.abs(real - np.floor(real)) - 0.5) < 1e-3
        assert off.max() <= 1
        assert not (off.astype(bool) & ~between).any(), node.name
        checked += 1
    assert checked > 20


class Layers:
    """The exact results of the integer layers of a signed file, from the integers they read."""

    def __init__(self, model: onnx.ModelProto, integers: dict[str, I64]) -> None:
        self.graph = Graph(model)
        self.integers = integers

    def exact(self, node: onnx.NodeProto) -> tuple[F64, I64] | None:
        """In steps of its grid, unrounded, and the integers made; None for what is no such node."""
        if node.op_type not in ("Conv", "ConvTranspose", "Add"):
            return None
        readers = self.graph.consumers[node.output[0]]
        relu = [reader.op_type for reader in readers] == ["Relu"]
        if relu:
            readers = self.graph.consumers[readers[0].output[0]]
        read = [self._read(name) for name in node.input]
        if [r.op_type for r in readers] != ["QuantizeLinear"] or None in read:
            return None
        step = float(self.graph.constants[readers[0].input[1]])
        real = self._sum(node, [part for part in read if part is not None]) / step
        return (real.clip(0) if relu else real), self.integers[readers[0].output[0]]

    def _read(self, tensor: str) -> tuple[I64, F64] | None:
        """Integers and scale behind a DequantizeLinear."""
        node = self.graph.producers.get(tensor)
        if node is None or node.op_type != "DequantizeLinear":
            return None
        values = self.integers.get(node.input[0])
        if values is None:
            values = self.graph.constants[node.input[0]].astype(np.int64)
        return values, self.graph.constants[node.input[1]].astype(np.float64)

    @staticmethod
    def _sum(node: onnx.NodeProto, read: list[tuple[I64, F64]]) -> F64:
        if node.op_type == "Add":
            (a, a_scale), (b, b_scale) = read
            total: F64 = a * a_scale + b * b_scale
            return total
        (x, x_scale), (kernel, kernel_scale), (bias, _) = read
        given: dict[str, Any] = {a.name: list(a.ints) for a in node.attribute}
        convolve: Any = functional.conv2d if node.op_type == "Conv" else functional.conv_transpose2d
        parts = [torch.from_numpy(part.astype(np.float64)) for part in (x, kernel, bias)]
        sums = convolve(*parts, stride=given["strides"], padding=given["pads"][:2]).numpy()
        scaled: F64 = sums * (x_scale * kernel_scale)[:, None, None]
        return scaled


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3]))
def test_relu_becomes_a_maximum(seed: int, read: int, made: int, kernel: int) -> None:
    shape = (read, 5, 6)
    graph = Writer(seed)
    parts = graph.kernel("layer", (made, read, kernel, kernel), 0)
    source = graph.quantized("x")
    size = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4}
    graph.add("Conv", [source, *parts], "layer", **size)
    graph.add("Relu", ["layer"], "relu")
    model = graph.model(shape, [graph.quantized("relu", 0.5)])
    new = unsigned(model)
    assert "Relu" not in {node.op_type for node in new.graph.node}
    images = picture(seed, (2, *shape))
    expected = run(model, images, optimized=False)["relu.real"]
    for optimized in (False, True):
        found = run(new, images, optimized=optimized)["relu.real"]
        np.testing.assert_array_equal(found, expected)
        assert found.min() >= 0


def test_relu_that_something_else_reads_stays() -> None:
    graph = Writer(0)
    parts = graph.kernel("layer", (4, 2, 1, 1), 0)
    graph.add("Conv", [graph.quantized("x"), *parts], "layer", kernel_shape=[1, 1])
    graph.add("Relu", ["layer"], "relu")
    model = graph.model((2, 3, 3), [graph.quantized("relu"), "relu"])
    new = unsigned(model)
    assert "Relu" in {node.op_type for node in new.graph.node}
    images = picture(0, (1, 2, 3, 3))
    expected = run(model, images, optimized=False)
    for name, values in run(new, images, optimized=True).items():
        np.testing.assert_array_equal(values, expected[name])


def test_what_is_no_onnx_file_comes_back() -> None:
    assert rewritten(b"\xff QuantizeLinear") == b"\xff QuantizeLinear"


def test_graph_within_a_graph_comes_back() -> None:
    branch = onnx.parser.parse_graph(
        "g () => (float[1] y) { y = Constant<value_floats = [1.0]>() }"
    )
    chosen = onnx.helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch)
    ends = [
        onnx.helper.make_tensor_value_info(name, kind, [1])
        for name, kind in (("x", onnx.TensorProto.BOOL), ("z", onnx.TensorProto.FLOAT))
    ]
    model = onnx.helper.make_model(onnx.helper.make_graph([chosen], "outer", ends[:1], ends[1:]))
    content = model.SerializeToString()
    assert rewritten(content) == content
