"""The form of a quantized file: what is in 8 bits, on which grids, and what stays float."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import onnx
import onnxruntime
from hypothesis import given
from hypothesis import strategies as st
from onnx import NodeProto, numpy_helper

from detectors.quantize.calibrate import ranges
from detectors.quantize.graph import Graph
from detectors.quantize.qdq import activations, groups, layer_names, quantize, quantize_kernel
from pipeline.core.arrays import F32, AnyArray

SIZE = (64, 96)
CONVOLUTIONS = ("Conv", "ConvTranspose")


def noise(seed: int = 1) -> F32:
    return np.random.default_rng(seed).random((2, 3, *SIZE), np.float32)


def run(model: bytes, images: F32) -> tuple[F32, F32]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    boxes, scores = session.run(["boxes", "scores"], {"images": images})
    return boxes, scores


@pytest.fixture(scope="module")
def graph(float_file: Path) -> Graph:
    return Graph.load(float_file)


@pytest.fixture(scope="module")
def reach(graph: Graph) -> dict[str, float]:
    return ranges(graph, activations(graph), [noise()], "max")


@pytest.fixture(scope="module")
def model(graph: Graph, reach: dict[str, float]) -> onnx.ModelProto:
    return quantize(graph, reach)


def constants(model: onnx.ModelProto) -> dict[str, AnyArray]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def makers(model: onnx.ModelProto) -> dict[str, NodeProto]:
    return {name: node for node in model.graph.node for name in node.output}


def test_computes_nearly_the_same(float_file: Path, model: onnx.ModelProto) -> None:
    boxes, scores = run(float_file.read_bytes(), noise())
    boxes_8, scores_8 = run(model.SerializeToString(), noise())
    assert 0 < np.abs(boxes - boxes_8).mean() < 1.5
    assert 0 < np.abs(scores - scores_8).mean() < 0.01


def test_everything_between_convolutions_is_quantized(model: onnx.ModelProto) -> None:
    made_by = makers(model)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["Conv"] > 70
    for node in model.graph.node:
        read = [made_by[name].op_type for name in node.input if name in made_by]
        if node.op_type in CONVOLUTIONS:
            assert read == ["DequantizeLinear"] * 3, node.name
        if node.op_type in ("MaxPool", "Concat") and "heads" not in node.name:
            assert set(read) == {"DequantizeLinear"}, node.name
        if node.op_type == "Add" and "bottlenecks" in node.name:
            assert read == ["DequantizeLinear"] * 2, node.name
    assert not any(n.op_type == "Mul" and "bottlenecks" in n.name for n in model.graph.node)


def test_predictions_leave_as_float(model: onnx.ModelProto) -> None:
    made_by = makers(model)
    predictions = [n.output[0] for n in model.graph.node if "_pred/" in n.name]
    assert len(predictions) == 6
    for node in model.graph.node:
        if set(predictions) & set(node.input):
            assert node.op_type == "Reshape"
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    assert made_by[softmax.input[0]].op_type == "Reshape"


def test_is_signed_and_symmetric_in_opset_19(model: onnx.ModelProto) -> None:
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 19)]
    values = constants(model)
    kinds = Counter[str]()
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = values[node.input[2]]
            kinds[f"{node.op_type} {zero.dtype} {zero.ndim}"] += 1
            assert not zero.any()
    assert set(kinds) == {
        "QuantizeLinear int8 0", "DequantizeLinear int8 0",
        "DequantizeLinear int8 1", "DequantizeLinear int32 1",
    }  # fmt: skip


def test_kernels_have_a_scale_per_output_channel(model: onnx.ModelProto) -> None:
    values = constants(model)
    kernels = [name for name, value in values.items() if value.ndim == 4 and value.dtype == "i1"]
    assert len(kernels) > 70
    for name in kernels:
        axis = 1 if "upsample" in name else 0
        scale = values[f"{name.removesuffix('.quantized')}.scale"]
        assert scale.shape == (values[name].shape[axis],)
        assert values[name].min() >= -127


def test_scale_is_the_range_by_127_and_shared_where_bytes_move(
    graph: Graph, reach: dict[str, float], model: onnx.ModelProto
) -> None:
    values = constants(model)
    shared = groups(graph, reach)
    members = {name for group in shared for name in group}
    assert len(members) == sum(map(len, shared)) > 20
    for name, largest in reach.items():
        if name not in members:
            assert values[f"{name}.scale"] == pytest.approx(largest / 127, rel=1e-6)
    for group in shared:
        scales = {float(values[f"{name}.scale"]) for name in group}
        assert scales == {float(np.float32(max(reach[name] for name in group) / 127))}
    pool = next(node for node in graph.nodes if node.op_type == "MaxPool")
    assert any({pool.input[0], pool.output[0]} <= set(group) for group in shared)


def test_shortcut_is_scaled_by_its_factor(graph: Graph, model: onnx.ModelProto) -> None:
    values = constants(model)
    products = [n for n in graph.nodes if n.op_type == "Mul" and "bottlenecks" in n.name]
    assert len(products) > 8
    for product in products:
        factor, source = product.input
        expected = values[f"{source}.scale"] * graph.constants[factor].item()
        assert values[f"{product.output[0]}.scale"] == pytest.approx(expected, rel=1e-6)


def convolutions_in_8_bits(model: onnx.ModelProto) -> set[str]:
    made_by = makers(model)
    return {
        node.name
        for node in model.graph.node
        if node.op_type in CONVOLUTIONS and node.input[1] in made_by
    }


def test_layers_to_skip_stay_float(graph: Graph, reach: dict[str, float]) -> None:
    layers = layer_names(graph)
    assert len(layers) == 78
    skip = layers[3:40:3]
    model = quantize(graph, reach, skip=skip)
    assert convolutions_in_8_bits(model) == set(layers) - set(skip)


def test_one_layer_alone_costs_only_its_own_grids(graph: Graph, reach: dict[str, float]) -> None:
    layers = layer_names(graph)
    alone = "/backbone/stage2/blocks/bottlenecks.0/cv1/rbr_reparam/Conv"
    skip = [name for name in layers if name != alone]
    node = next(node for node in graph.nodes if node.name == alone)
    assert activations(graph, skip) == [node.input[0], f"{alone.split('/rbr')[0]}/Relu_output_0"]
    model = quantize(graph, reach, skip=skip)
    assert sum(n.op_type == "QuantizeLinear" for n in model.graph.node) == 2
    assert convolutions_in_8_bits(model) == {alone}


def test_with_all_layers_skipped_nothing_changes(float_file: Path, graph: Graph) -> None:
    model = quantize(graph, {}, skip=layer_names(graph))
    for a, b in zip(
        run(model.SerializeToString(), noise()), run(float_file.read_bytes(), noise()), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@given(st.data())
def test_skipping_never_adds_a_tensor(graph: Graph, data: st.DataObject) -> None:
    skip = data.draw(st.sets(st.sampled_from(layer_names(graph))))
    assert set(activations(graph, skip)) <= set(activations(graph))


def test_zero_range_is_allowed_and_computes_zero(graph: Graph, reach: dict[str, float]) -> None:
    dead = reach | {"/heads/head1/stem/Relu_output_0": 0.0}
    model = quantize(graph, dead)
    scale = constants(model)["/heads/head1/stem/Relu_output_0.scale"]
    assert scale == np.float32(1 / 127)


@pytest.mark.parametrize("wrong", [None, -1.0, float("nan"), float("inf")])
def test_wrong_range_is_named(graph: Graph, reach: dict[str, float], wrong: float | None) -> None:
    broken = {name: value for name, value in reach.items() if name != "images"}
    if wrong is not None:
        broken["images"] = wrong
    with pytest.raises(ValueError, match=rf"range of images is {wrong}"):
        quantize(graph, broken)


@pytest.mark.parametrize("skip", [["/heads/Softmax"], {"nothing"}])
def test_skipping_what_is_no_convolution_is_an_error(graph: Graph, skip: Collection[str]) -> None:
    with pytest.raises(ValueError, match=f"no such convolution in the graph: {next(iter(skip))}"):
        activations(graph, skip)


@pytest.mark.parametrize("axis", [0, 1])
def test_kernel_error_is_at_most_half_a_step(axis: int) -> None:
    kernel = np.random.default_rng(axis).normal(size=(6, 5, 3, 3)).astype(np.float32)
    integers, scale = quantize_kernel(kernel, axis)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    error = np.abs(integers * scale.reshape(shape) - kernel)
    assert (error <= scale.reshape(shape) * 0.5001).all()
    assert np.abs(integers).max() == 127
