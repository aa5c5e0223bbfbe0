"""Operators that ONNX Runtime is slow at in 8 bits, replaced by others that compute the same.

Its integer convolution works on channels-last tensors and wants many input channels; it has none
that is transposed. The Transposes written here meet those that the runtime puts around its
convolutions, and both vanish.

Integers stay equal bit by bit; float results differ by the order of their sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper

from detectors.engines.rewrite.by_anchor import expect, predict_by_anchor
from detectors.engines.rewrite.pattern import (
    TO_CHANNELS_FIRST,
    TO_CHANNELS_LAST,
    Constant,
    IntegerConv,
    Pattern,
    attribute,
)

CELL, MADE = 8, 4
"""So many columns of the picture become channels of the first convolution, and as many columns of
its output. Eight bytes are what the runtime transposes fastest."""

MOST_CHANNELS = 4

Steps = Sequence[tuple[str, Sequence[int]]]


def substituted(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every substitution that applies; what matches none is left as it is."""
    for rewrite in (chain_pools, pack_columns, upsample, predict_by_anchor, expect):
        model = Pattern(model).rewritten(rewrite)
    return model


def chain_pools(pattern: Pattern, node: NodeProto) -> list[NodeProto] | None:
    """A maximum over k x k as one over k - j + 1 a side of that over j x j, which is there."""
    kernel = _same_pool(node)
    if kernel is None:
        return None
    smaller = {
        size: other
        for other in pattern.graph.consumers[node.input[0]]
        if (size := _same_pool(other)) is not None
        and size < kernel
        and pattern.is_before(other.output[0], node)
    }
    size = max(smaller, default=0)
    source = _on_the_grid_of(pattern, node.input[0], smaller[size].output[0]) if smaller else None
    if source is None or not pattern.is_before(source, node):
        return None
    rest = kernel - size + 1
    how: dict[str, Any] = {"kernel_shape": [rest] * 2, "pads": [rest // 2] * 4, "strides": [1, 1]}
    return [helper.make_node("MaxPool", [source], node.output, node.name, **how)]


def _same_pool(node: NodeProto) -> int | None:
    """The side of the kernel of a square MaxPool that keeps the size, else None."""
    side = attribute(node, "kernel_shape", [0])[0]
    wanted = {"kernel_shape": [side] * 2, "pads": [side // 2] * 4}
    plain = {"strides": [1, 1], "dilations": [1, 1], "ceil_mode": 0, "auto_pad": b"NOTSET"}
    fits = (
        node.op_type == "MaxPool"
        and len(node.output) == 1
        and all(attribute(node, name, None) == value for name, value in wanted.items())
        and all(attribute(node, name, value) == value for name, value in plain.items())
    )
    return int(side) if fits and side % 2 else None


def _on_the_grid_of(pattern: Pattern, tensor: str, made: str) -> str | None:
    """What is read off `made` once it has been quantized as `tensor` was; `made` if that is float.

    None where the two have different grids.
    """
    before = pattern.producer(tensor, "DequantizeLinear")
    quantize = pattern.only_reader(made, "QuantizeLinear")
    if before is None or quantize is None:
        return made if before is None and quantize is None else None
    after = pattern.only_reader(quantize.output[0], "DequantizeLinear")
    constants = pattern.graph.constants
    same = after is not None and all(
        np.array_equal(constants[a], constants[b])
        for node in (quantize, after)
        for a, b in zip(before.input[1:], node.input[1:], strict=True)
    )
    return str(after.output[0]) if after is not None and same else None


def pack_columns(pattern: Pattern, node: NodeProto) -> list[NodeProto] | None:
    """A 3 x 3 convolution of stride 2 over few channels, as one over `CELL` times as many.

    Cell n of a row holds its columns 8n to 8n + 7, channel by channel; where the picture comes
    channels last, as it lies. Output columns 4n to 4n + 3 see input columns 8n - 1 to 8n + 7, that
    is, cells n - 1 and n.
    """
    conv = pattern.integer_conv(node, "Conv")
    sides = pattern.sides(node.input[0])
    wanted = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    if conv is None or sides is None or not _has(node, wanted):
        return None
    channels, rows, columns = sides
    if channels > MOST_CHANNELS or rows % 2 or columns % CELL:
        return None
    taps = conv.kernel.integers
    packed = np.zeros((MADE, len(taps), channels, CELL, 3, 2), np.int8)
    for column in range(MADE):
        for tap in range(3):
            cell, place = divmod(2 * column + tap - 1, CELL)
            packed[column, :, :, place, :, cell + 1] = taps[:, :, :, tap]
    before: Steps = [
        ("Reshape", [0, channels, rows * columns // CELL, CELL]),
        ("Transpose", [0, 2, 1, 3]),
        ("Reshape", [0, rows, columns // CELL, channels * CELL]),
        ("Transpose", TO_CHANNELS_FIRST),
    ]
    last = _channels_last(pattern, conv.dequantize.input[0])
    if last is not None:
        packed = packed.swapaxes(2, 3)
        before = before[2:]
    kernel = packed.reshape(MADE * len(taps), channels * CELL, 3, 2)
    after = [("Reshape", [0, rows // 2, columns // 2, len(taps)])]
    how = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 1, 1, 0]}
    return _replaced(pattern, conv, kernel, how, before, after, last)


def _channels_last(pattern: Pattern, tensor: str) -> str | None:
    """The input of the graph that `tensor` is with its channels first, if it is one."""
    node = pattern.producer(tensor, "Transpose")
    inputs = {value.name for value in pattern.graph.model.graph.input}
    moved = node is not None and attribute(node, "perm", []) == list(TO_CHANNELS_FIRST)
    return str(node.input[0]) if node is not None and moved and node.input[0] in inputs else None


def upsample(pattern: Pattern, node: NodeProto) -> list[NodeProto] | None:
    """A transposed convolution whose stride is its kernel, as one of 1 x 1 and a move of pixels."""
    conv = pattern.integer_conv(node, "ConvTranspose")
    sides = pattern.sides(node.output[0])
    if conv is None or sides is None:
        return None
    weights = conv.kernel.integers
    step = weights.shape[-1]
    wanted = {"strides": [step] * 2, "kernel_shape": [step] * 2}
    plain = {"pads": [0] * 4, "output_padding": [0, 0], "output_shape": []}
    if not _has(node, wanted) or any(attribute(node, k, v) != v for k, v in plain.items()):
        return None
    many, rows, columns = sides
    kernel = weights.transpose(2, 3, 1, 0).reshape(step * step * many, -1, 1, 1)
    after = [
        ("Reshape", [0, rows // step, columns // step, step, step * many]),
        ("Transpose", [0, 1, 3, 2, 4]),
        ("Reshape", [0, rows, columns, many]),
    ]
    return _replaced(pattern, conv, kernel, {"kernel_shape": [1, 1]}, [], after)


def _has(node: NodeProto, wanted: dict[str, list[int]]) -> bool:
    """Whether the node has these attributes, and neither dilations nor automatic padding."""
    return (
        all(attribute(node, name, None) == value for name, value in wanted.items())
        and attribute(node, "dilations", [1, 1]) == [1, 1]
        and attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"
    )


def _replaced(
    pattern: Pattern,
    conv: IntegerConv,
    kernel: Any,
    attributes: dict[str, Any],
    before: Steps,
    after: Steps,
    source: str | None = None,
) -> list[NodeProto]:
    """Another convolution up to its QuantizeLinear: moves, kernel, moves on the integers.

    Its output channels are those of `conv`, repeated. `before` moves what `conv` reads, or `source`
    in its place; `after` moves a channels-last tensor.
    """
    name = conv.node.name or conv.node.output[0]
    repeats = len(kernel) // len(conv.kernel.scale)
    weight = Constant(kernel, np.tile(conv.kernel.scale, repeats))
    bias = Constant(np.tile(conv.bias.integers, repeats), np.tile(conv.bias.scale, repeats))
    constants = [
        pattern.dequantized(f"{name}~kernel", weight),
        pattern.dequantized(f"{name}~bias", bias),
    ]
    read, moves = str(conv.node.input[0]), []
    if before:
        read_from, *grid = conv.dequantize.input
        moves = pattern.moves(source or read_from, f"{name}~in", before)
        read = f"{name}~in.real"
        moves.append(helper.make_node("DequantizeLinear", [f"{name}~in", *grid], [read], read))
    inputs = [read, *(node.output[0] for node in constants)]
    real, integers = f"{name}~out.real", f"{name}~out"
    new = helper.make_node("Conv", inputs, [real], name, **attributes)
    quantize = NodeProto()
    quantize.CopyFrom(conv.quantize)
    quantize.input[0], quantize.output[0] = real, integers
    pattern.dropped.add(conv.quantize.output[0])
    steps = [("Transpose", TO_CHANNELS_LAST), *after, ("Transpose", TO_CHANNELS_FIRST)]
    back = pattern.moves(integers, conv.quantize.output[0], steps)
    return [*constants, *moves, new, quantize, *back]
