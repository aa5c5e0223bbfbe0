"""Graphs in half precision: what they compute, and which parts stay float32."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from detectors.engines.half import half_scale, to_half, with_float_biases
from detectors.engines.planned import planned_layers
from detectors.quantize.graph import Graph
from pipeline.core.arrays import F32
from pipeline.core.errors import EngineLoadError
from tests.detectors.engines.tensorrt.small_network import SIDE, network, quantized

IMAGES = np.random.default_rng(0).random((2, 3, SIDE, SIDE), np.float32)


def run(model: onnx.ModelProto) -> list[F32]:
    """Outputs of ONNX Runtime, operator by operator as the graph says."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(out) for out in session.run(["boxes", "scores"], {"images": IMAGES})]


def types(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*inferred.value_info, *inferred.output, *inferred.input]
    return {value.name: value.type.tensor_type.elem_type for value in values}


def test_float_biases_are_exactly_what_the_nodes_compute() -> None:
    graph = Graph(quantized())
    folded = with_float_biases(graph).model
    for a, b in zip(run(graph.model), run(folded), strict=True):
        np.testing.assert_array_equal(a, b)
    kinds = {t.name: t.data_type for t in folded.graph.initializer}
    read = {n.input[0] for n in folded.graph.node if n.op_type == "DequantizeLinear"}
    assert TensorProto.INT32 not in {kinds[name] for name in read if name in kinds}
    assert [layer.precision for layer in planned_layers(Graph(folded))] == ["int8"] * 3


@pytest.mark.parametrize("form", ["fp32", "int8", "hybrid"])
def test_half_form_computes_nearly_the_same(form: str) -> None:
    skip = ("/boxes/Conv",) if form == "hybrid" else ()
    model = network() if form == "fp32" else quantized(skip)
    half = to_half(Graph(model), "x")
    boxes, scores = run(half)
    wanted = run(model)
    # half precision alone errs by 2 ** -11; at a grid of 8 bits it can turn a rounding, by 4 / 127
    tolerance = 2e-3 if form == "fp32" else 0.02
    np.testing.assert_allclose(boxes, wanted[0], atol=tolerance * 640)
    np.testing.assert_allclose(scores, wanted[1], atol=tolerance)
    assert np.abs(boxes - wanted[0]).mean() < 1


@pytest.mark.parametrize("form", ["fp32", "int8"])
def test_only_what_follows_the_last_convolutions_stays_float32(form: str) -> None:
    graph = Graph(network() if form == "fp32" else quantized())
    found = types(to_half(graph, "x"))
    assert found["images"] == found["boxes"] == found["scores"] == TensorProto.FLOAT
    assert found["g2"] == found["t3"] == TensorProto.FLOAT
    assert found["c1"] == found["c2"] == found["c3"] == TensorProto.FLOAT16


def test_casts_are_few() -> None:
    kinds = Counter(node.op_type for node in to_half(Graph(quantized()), "x").graph.node)
    assert kinds["Cast"] == 3  # into the first convolution, out of the last two


def test_metadata_and_plan_stay() -> None:
    half = to_half(Graph(quantized(("/boxes/Conv",))), "x")
    assert {e.key: e.value for e in half.metadata_props}["made"] == "here"
    assert [layer.precision for layer in planned_layers(Graph(half))] == ["int8", "fp16", "int8"]


def test_channels_of_tiny_weights_keep_them() -> None:
    """The first channel's scale, about 1e-6, is no normal number of float16."""
    kernel = numpy_helper.to_array(next(t for t in network().graph.initializer if t.name == "k1"))
    half = to_half(Graph(quantized()), "x")
    held = {t.name: numpy_helper.to_array(t) for t in half.graph.initializer}
    node = next(n for n in half.graph.node if n.op_type == "Conv")
    source = next(n for n in half.graph.node if node.input[1] in n.output)
    integers, scale = held[source.input[0]], held[source.input[1]].astype(np.float32)
    assert scale.dtype == np.float32
    assert (scale > 0).all()
    largest = np.abs(kernel).max(axis=(1, 2, 3))
    error = np.abs(integers * scale[:, None, None, None] - kernel).max(axis=(1, 2, 3))
    assert (error <= 0.02 * largest).all()


def test_outputs_in_half_get_their_float32_back() -> None:
    """A graph that ends in a convolution has no tail."""
    model = network()
    del model.graph.node[2:], model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info("r1", TensorProto.FLOAT, ["batch", 8, SIDE, SIDE])
    )
    model.graph.node.append(helper.make_node("Conv", ["r1", "k2", "b2"], ["c2"], "/boxes/Conv"))
    model.graph.output.append(
        helper.make_tensor_value_info("c2", TensorProto.FLOAT, ["batch", 4, SIDE, SIDE])
    )
    found = types(to_half(Graph(model), "x"))
    assert found["r1"] == found["c2"] == TensorProto.FLOAT


def test_values_beyond_half_precision_are_an_error() -> None:
    model = network()
    bias = next(t for t in model.graph.initializer if t.name == "b1")
    bias.CopyFrom(numpy_helper.from_array(np.full(8, 1e5, np.float32), "b1"))
    with pytest.raises(EngineLoadError, match="model x: b1 holds 100000, more than half precision"):
        to_half(Graph(model), "x")


def test_old_opsets_have_no_half_scales() -> None:
    model = quantized()
    model.opset_import[0].version = 17
    with pytest.raises(EngineLoadError, match="is of opset 17, and half-precision scales need 19"):
        to_half(Graph(model), "x")


@given(
    arrays(
        np.float32,
        st.integers(1, 8),
        elements=st.floats(float(np.float32(1e-12)), 100, width=32),
    )
)
def test_half_scales_are_positive_and_no_smaller(scale: F32) -> None:
    rounded = half_scale(scale).astype(np.float64)
    assert (rounded > 0).all()
    assert (rounded >= scale).all()
    normal = scale >= 2**-14
    assert (rounded[normal] <= scale[normal].astype(np.float64) * (1 + 2**-9)).all()
