"""What follows the last convolutions of a detector, as products of matrices."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from detectors.engines.rewrite.pattern import TO_CHANNELS_LAST, Constant, Pattern, attribute


def predict_by_anchor(pattern: Pattern, node: NodeProto) -> list[NodeProto] | None:
    """A 1 x 1 convolution whose output is then laid out by pixel, (B, H * W, outputs), as a product
    of the pixels (B * H * W, channels) with the kernel. Integers go in, floats come out."""
    reshape = pattern.only_reader(node.output[0], "Reshape")
    transpose = pattern.only_reader(reshape.output[0], "Transpose") if reshape else None
    sides = pattern.sides(node.output[0])
    if reshape is None or transpose is None or sides is None or not _is_pointwise(node):
        return None
    outputs, pixels = sides[0], sides[1] * sides[2]
    shape = pattern.graph.constants.get(reshape.input[1], np.zeros(0)).tolist()
    by_pixel = shape in ([-1, outputs, pixels], [0, outputs, pixels])
    if not by_pixel or attribute(transpose, "perm", None) != [0, 2, 1]:
        return None
    name, made = node.name or node.output[0], transpose.output[0]
    found = _factors(pattern, node, name)
    if found is None:
        return None
    factors, constants = found
    pattern.dropped |= {reshape.output[0], made}
    read, moves = _pixels(pattern, node.input[0], name)
    product = helper.make_node("Gemm", [read, *factors], [f"{name}~product"], name)
    back = pattern.moves(product.output[0], made, [("Reshape", [-1, pixels, outputs])])
    return [*constants, *moves, product, *back]


def _is_pointwise(node: NodeProto) -> bool:
    wanted = {"kernel_shape": [1, 1], "strides": [1, 1], "pads": [0] * 4, "group": 1}
    return (
        node.op_type == "Conv"
        and len(node.input) == 3
        and all(attribute(node, name, value) == value for name, value in wanted.items())
    )


def _factors(
    pattern: Pattern, node: NodeProto, name: str
) -> tuple[list[str], list[NodeProto]] | None:
    """The kernel as a matrix (channels, outputs) and the bias, and the nodes that make them; None
    where they are partly integers, or read floats with integer kernels."""
    kernel = pattern.graph.constants.get(node.input[1])
    if kernel is not None and node.input[2] in pattern.graph.constants:
        matrix = np.ascontiguousarray(kernel[:, :, 0, 0].T)
        return [pattern.constant(f"{name}~matrix", matrix), node.input[2]], []
    weight, bias = pattern.integers(node.input[1]), pattern.integers(node.input[2])
    source = pattern.producer(node.input[0], "DequantizeLinear")
    if weight is None or bias is None or source is None:
        return None
    integers = np.ascontiguousarray(weight.integers[:, :, 0, 0].T)
    nodes = [
        pattern.dequantized(f"{name}~matrix", Constant(integers, weight.scale, 1)),
        pattern.dequantized(f"{name}~bias", bias),
    ]
    return [str(made.output[0]) for made in nodes], nodes


def _pixels(pattern: Pattern, tensor: str, name: str) -> tuple[str, list[NodeProto]]:
    """What a convolution reads, as (B * H * W, channels); integers are moved if it reads such."""
    dequantize = pattern.producer(tensor, "DequantizeLinear")
    source, *grid = dequantize.input if dequantize is not None else [tensor]
    channels = (pattern.sides(tensor) or [-1])[0]
    made = f"{name}~pixels"
    steps = [("Transpose", TO_CHANNELS_LAST), ("Reshape", (-1, channels))]
    nodes = pattern.moves(source, made, steps)
    if not grid:
        return made, nodes
    real = f"{made}~real"
    return real, [*nodes, helper.make_node("DequantizeLinear", [made, *grid], [real], real)]


def expect(pattern: Pattern, node: NodeProto) -> list[NodeProto] | None:
    """The sums over the last axis of (B, N, G, bins) times a vector, as one product of
    (B, N, G * bins) with a matrix (G * bins, G) that holds the vector G times."""
    total = pattern.only_reader(node.output[0], "ReduceSum") if node.op_type == "Mul" else None
    if total is None or len(total.input) != 2 or attribute(total, "keepdims", 1):
        return None
    axes = pattern.graph.constants.get(total.input[1])
    vector = pattern.graph.constants.get(node.input[1])
    sides = pattern.sides(node.output[0]) or []
    if axes is None or vector is None or axes.tolist() != [-1]:
        return None
    if len(sides) != 3 or vector.shape != (sides[-1],):
        return None
    name = total.name or total.output[0]
    matrix = np.kron(np.eye(sides[1], dtype=vector.dtype), vector[:, None])
    pattern.dropped.add(total.output[0])
    flat = pattern.moves(
        node.input[0], f"{name}~flat", [("Reshape", [-1, sides[0], sides[1] * sides[2]])]
    )
    factor = pattern.constant(f"{name}~matrix", matrix)
    return [*flat, helper.make_node("MatMul", [f"{name}~flat", factor], total.output, name)]
