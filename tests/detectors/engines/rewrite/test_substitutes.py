"""What stands in for slow operators computes the same bits, on graphs of every fitting shape."""

from collections import Counter

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from detectors.engines.rewrite.substitutes import substituted
from detectors.engines.rewrite.unsigned import unsigned
from tests.detectors.engines.rewrite.graphs import Writer, picture
from tests.detectors.engines.rewrite.runs import run

SEEDS = st.integers(0, 2**32 - 1)


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def assert_same_bits(model: onnx.ModelProto, seed: int, shape: tuple[int, ...]) -> onnx.ModelProto:
    """The rewritten model, which gave the same outputs for a batch of two, in every way to run."""
    images = picture(seed, (2, *shape))
    new = substituted(unsigned(model))
    onnx.checker.check_model(new, full_check=True)
    expected = run(model, images, optimized=False)
    for optimized in (False, True):
        found = run(new, images, optimized=optimized)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)
    return new


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 4), st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
def test_first_convolution(seed: int, channels: int, made: int, rows: int, columns: int) -> None:
    shape = (channels, 2 * rows, 8 * columns)
    graph = Writer(seed)
    parts = graph.kernel("stem", (made, channels, 3, 3), 0)
    read = graph.quantized("x")
    graph.add("Conv", [read, *parts], "stem", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    graph.add("Relu", ["stem"], "relu")
    model = graph.model(shape, [graph.quantized("relu", 1.0)])
    new = assert_same_bits(model, seed, shape)
    conv = next(node for node in new.graph.node if node.op_type == "Conv")
    assert {a.name: list(a.ints) for a in conv.attribute}["kernel_shape"] == [3, 2]
    assert kinds(new)["Relu"] == 0


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.integers(2, 3))
def test_transposed_convolution(seed: int, read: int, made: int, rows: int, step: int) -> None:
    shape = (read, rows, rows + 1)
    graph = Writer(seed)
    parts = graph.kernel("up", (read, made, step, step), 1)
    source = graph.quantized("x")
    size = {"kernel_shape": [step] * 2, "strides": [step] * 2}
    graph.add("ConvTranspose", [source, *parts], "up", **size)
    new = assert_same_bits(graph.model(shape, [graph.quantized("up", 1.0)]), seed, shape)
    assert kinds(new)["ConvTranspose"] == 0
    assert kinds(new)["Conv"] == 1


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 12), st.integers(1, 12), st.permutations([5, 9, 13]))
def test_pools(seed: int, rows: int, columns: int, sides: list[int]) -> None:
    graph = Writer(seed)
    read = graph.quantized("x")
    made = []
    for side in sides:
        size = {"kernel_shape": [side] * 2, "pads": [side // 2] * 4, "strides": [1, 1]}
        made.append(graph.quantized(graph.add("MaxPool", [read], f"pool{side}", **size)))
    new = assert_same_bits(graph.model((3, rows, columns), made), seed, (3, rows, columns))
    largest = [
        max(attribute.ints) for node in new.graph.node for attribute in node.attribute
        if node.op_type == "MaxPool" and attribute.name == "kernel_shape"
    ]  # fmt: skip
    assert sum(largest) <= sum(sides)


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 6), st.integers(1, 9), st.integers(1, 4), st.booleans())
def test_prediction_by_anchor(
    seed: int, channels: int, outputs: int, rows: int, in_float: bool
) -> None:
    shape = (channels, rows, rows + 1)
    graph = Writer(seed)
    parts = graph.kernel("pred", (outputs, channels, 1, 1), 0)
    if in_float:
        weight = graph.rng.normal(size=(outputs, channels, 1, 1)).astype(np.float32)
        bias = graph.constant("bias", weight[:, 0, 0, 0].copy())
        parts = [graph.constant("weight", weight), bias]
    graph.add("Conv", ["x" if in_float else graph.quantized("x"), *parts], "pred",
              kernel_shape=[1, 1])  # fmt: skip
    sides = graph.constant("sides", np.array([-1, outputs, rows * (rows + 1)]))
    graph.add("Reshape", ["pred", sides], "flat")
    graph.add("Transpose", ["flat"], "by_anchor", perm=[0, 2, 1])
    model = graph.model(shape, ["by_anchor"])
    if in_float:
        new = substituted(unsigned(model))
        images = picture(seed, (2, *shape))
        for a, b in zip(
            run(model, images, optimized=False).values(),
            run(new, images, optimized=True).values(), strict=True,
        ):  # fmt: skip
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)
    else:
        new = assert_same_bits(model, seed, shape)
    assert kinds(new)["Gemm"] == 1
    assert kinds(new)["Conv"] == 0


@settings(max_examples=15)
@given(SEEDS, st.integers(1, 5), st.integers(1, 4), st.integers(1, 17))
def test_expectation(seed: int, anchors: int, sides: int, bins: int) -> None:
    graph = Writer(seed)
    vector = graph.constant("bins", np.arange(bins, dtype=np.float32))
    graph.add("Mul", ["x", vector], "products")
    graph.add("ReduceSum", ["products", graph.constant("axes", np.array([-1]))], "sums", keepdims=0)
    model = graph.model((anchors, sides, bins), ["sums"])
    new = substituted(model)
    images = picture(seed, (2, anchors, sides, bins))
    np.testing.assert_allclose(
        run(new, images, optimized=True)["sums"],
        run(model, images, optimized=False)["sums"], rtol=1e-4, atol=1e-4,
    )  # fmt: skip
    assert kinds(new)["ReduceSum"] == 0


@pytest.mark.parametrize(
    ("operator", "shape", "attributes"),
    [
        ("Conv", (4, 2, 3, 3), {"strides": [2, 2], "pads": [0] * 4}),
        ("Conv", (4, 2, 3, 3), {"strides": [1, 1], "pads": [1] * 4}),
        ("ConvTranspose", (2, 4, 3, 3), {"strides": [2, 2]}),
        ("ConvTranspose", (2, 4, 2, 2), {"strides": [2, 2], "pads": [1] * 4}),
    ],
)
def test_what_does_not_fit_is_left_alone(
    operator: str, shape: tuple[int, ...], attributes: dict[str, list[int]]
) -> None:
    graph = Writer(0)
    parts = graph.kernel("layer", shape, 0 if operator == "Conv" else 1)
    read = graph.quantized("x")
    graph.add(operator, [read, *parts], "layer", kernel_shape=list(shape[2:]), **attributes)
    model = unsigned(graph.model((2, 8, 8), [graph.quantized("layer", 1.0)]))
    assert kinds(substituted(model)) == kinds(model)
    assert TensorProto.UINT8 in {tensor.data_type for tensor in model.graph.initializer}
