"""Rewriting a float graph so that it stays in 8 bits between its convolutions.

Every quantized tensor passes a QuantizeLinear/DequantizeLinear pair, which runtimes fuse with the
operators around it. Kernels are symmetric int8 with a scale per output channel; activations have
one scale and a fixed zero point: uint8 with zero point 0 where they are never negative, as after a
ReLU, which then costs nothing, and uint8 around 128 elsewhere. The `signed` scheme has int8 with
zero point 0 everywhere, which TensorRT wants. Biases are int32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto

from detectors.quantize.calibrate import Histogram, Method
from detectors.quantize.graph import Graph
from pipeline.core.arrays import F32, AnyArray

CONVOLUTIONS = ("Conv", "ConvTranspose")
SAME_SCALE = ("MaxPool", "Concat")
INT8_MAX = 127
UINT8_MAX = 255


@dataclass(frozen=True, slots=True)
class Grid:
    """Real = (integer - zero_point) * scale."""

    scale: float
    zero_point: int
    dtype: type[np.uint8] | type[np.int8]


@dataclass(frozen=True, slots=True)
class Scheme:
    """How activations are put on a grid; see the module's docstring."""

    signed: bool = False
    method: Method = "mse"

    def grid(self, histogram: Histogram, known_max: float | None = None) -> Grid:
        """The grid of a tensor, or of several that share one, from their joint histogram."""
        one_sided = not (self.signed or histogram.negative)
        levels = UINT8_MAX if one_sided else INT8_MAX
        scale = (known_max or histogram.clip(self.method, levels)) / levels
        if self.signed:
            return Grid(scale, 0, np.int8)
        return Grid(scale, 0 if one_sided else 128, np.uint8)


def activations(graph: Graph, skip: Collection[str] = ()) -> list[str]:
    """The tensors to quantize: what convolutions read, and what joins on the way there.

    Nodes named in `skip` keep float kernels; what they read is quantized all the same.
    """
    wanted: dict[str, None] = {}
    for node in graph.nodes:
        if node.op_type in CONVOLUTIONS:
            _want(graph, node.input[0], wanted)
            if node.name not in skip:
                _want(graph, _after_relu(graph, node), wanted)
    return list(wanted)


def quantize(
    graph: Graph,
    histograms: Mapping[str, Histogram],
    scheme: Scheme,
    *,
    skip: Collection[str] = (),
    input_max: float = 1.0,
) -> onnx.ModelProto:
    """The rewritten model; `histograms` are those of `activations(graph, skip)`."""
    writer = _Writer(graph, _grids(graph, histograms, scheme, input_max))
    for node in graph.nodes:
        writer.add(node, quantized=node.op_type in CONVOLUTIONS and node.name not in skip)
    model = graph.rebuilt(writer.inputs + writer.nodes, writer.constants)
    onnx.checker.check_model(model, full_check=True)
    return model


def _after_relu(graph: Graph, node: NodeProto) -> str:
    """The output of `node`, or of the ReLU that alone follows it."""
    made = str(node.output[0])
    followers = graph.consumers[made]
    if [follower.op_type for follower in followers] == ["Relu"]:
        made = str(followers[0].output[0])
    return made


def _want(graph: Graph, tensor: str, wanted: dict[str, None]) -> None:
    """Add `tensor` and, through joins and pools, what it is made of."""
    if tensor in wanted or tensor in graph.constants:
        return
    wanted[tensor] = None
    producer = graph.producers.get(tensor)
    if producer is not None and producer.op_type in (*SAME_SCALE, "Add"):
        for name in producer.input:
            _want(graph, _scaled_source(graph, name)[0], wanted)


def _scaled_source(graph: Graph, tensor: str) -> tuple[str, float]:
    """(x, a) when `tensor` is a * x with a positive constant a, else (tensor, 1)."""
    node = graph.producers.get(tensor)
    if node is not None and node.op_type == "Mul" and len(graph.consumers[tensor]) == 1:
        for factor, other in (node.input, reversed(node.input)):
            value = graph.constants.get(factor)
            if value is not None and value.size == 1 and float(value.item()) > 0:
                return other, float(value.item())
    return tensor, 1.0


def _grids(
    graph: Graph, histograms: Mapping[str, Histogram], scheme: Scheme, input_max: float
) -> dict[str, Grid]:
    """Grids by tensor.

    Pools and joins share theirs with what only they read, and so move bytes; but what is never
    negative keeps its zero point of 0, without which its ReLU would not be free.
    """
    leader = {name: name for name in histograms}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for node in graph.nodes:
        if node.op_type in SAME_SCALE and node.output[0] in histograms:
            made = node.output[0]
            for name in node.input:
                alone = node.op_type == "MaxPool" or len(graph.consumers[name]) == 1
                if alone and histograms[name].negative == histograms[made].negative:
                    leader[find(name)] = find(made)
    joint: dict[str, Histogram] = {}
    for name, histogram in histograms.items():
        total = joint.setdefault(find(name), Histogram())
        total.counts += histogram.counts
        total.negative |= histogram.negative
    inputs = {value.name for value in graph.model.graph.input}
    known = dict.fromkeys(inputs, input_max)
    return {name: scheme.grid(joint[find(name)], known.get(name)) for name in histograms}


class _Writer:
    """Emits the nodes of the rewritten graph."""

    def __init__(self, graph: Graph, grids: Mapping[str, Grid]) -> None:
        self.graph, self.grids = graph, grids
        self.nodes: list[NodeProto] = []
        self.inputs: list[NodeProto] = []
        self.constants: dict[str, AnyArray] = dict(graph.constants)
        for value in graph.model.graph.input:
            if value.name in grids:
                self.inputs += self._pair(value.name)

    def add(self, node: NodeProto, *, quantized: bool) -> None:
        """Emit `node` on dequantized tensors, and quantize what it makes where there is a grid."""
        copy = NodeProto()
        copy.CopyFrom(node)
        for n, name in enumerate(node.input):
            if node.op_type == "Add":
                copy.input[n] = self._shortcut(name)
            elif name in self.grids:
                copy.input[n] = _dequantized(name)
        if quantized:
            self._quantize_kernel(copy, self.grids[node.input[0]])
        if not self._is_absorbed(node):
            self.nodes.append(copy)
        for name in node.output:
            if name in self.grids:
                self.nodes += self._pair(name)

    def _is_absorbed(self, node: NodeProto) -> bool:
        """Whether a product became the scale of a shortcut."""
        made = str(node.output[0])
        readers = [reader.op_type for reader in self.graph.consumers[made]]
        source, _ = _scaled_source(self.graph, made)
        return readers == ["Add"] and source != made and source in self.grids

    def _shortcut(self, name: str) -> str:
        """What an Add reads: a * x needs no product, x is dequantized with a times its scale."""
        source, factor = _scaled_source(self.graph, name)
        if source not in self.grids:
            return name
        if source != name and f"{name}.scale" not in self.constants:
            scale = self.grids[source].scale * factor
            self.constants[f"{name}.scale"] = np.array(scale, np.float32)
            parts = [f"{source}.quantized", f"{name}.scale", f"{source}.zero_point"]
            self.nodes.append(_dequantize(parts, name))
        return _dequantized(name)

    def _pair(self, name: str) -> list[NodeProto]:
        grid = self.grids[name]
        self.constants[f"{name}.scale"] = np.array(grid.scale, np.float32)
        self.constants[f"{name}.zero_point"] = np.asarray(grid.zero_point, grid.dtype)
        how = [f"{name}.scale", f"{name}.zero_point"]
        integers = f"{name}.quantized"
        return [
            onnx.helper.make_node("QuantizeLinear", [name, *how], [integers]),
            _dequantize([integers, *how], name),
        ]

    def _quantize_kernel(self, node: NodeProto, source: Grid) -> None:
        kernel = self.graph.constants[node.input[1]].astype(np.float32)
        axis = 0 if node.op_type == "Conv" else 1
        integers, scale = quantize_kernel(kernel, axis)
        node.input[1] = self._constant(node.input[1], integers, scale, axis)
        if len(node.input) > 2:
            bias = self.graph.constants[node.input[2]].astype(np.float64)
            scale_of_sum = (scale.astype(np.float64) * source.scale).astype(np.float32)
            steps = np.rint(bias / scale_of_sum).clip(-(2**31), 2**31 - 1).astype(np.int32)
            node.input[2] = self._constant(node.input[2], steps, scale_of_sum, 0)

    def _constant(self, name: str, integers: AnyArray, scale: F32, axis: int) -> str:
        zero = np.zeros(scale.shape, integers.dtype)
        parts = {f"{name}.quantized": integers, f"{name}.scale": scale, f"{name}.zero": zero}
        self.constants |= parts
        self.nodes.append(_dequantize(list(parts), name, axis=axis))
        return _dequantized(name)


def quantize_kernel(kernel: F32, axis: int) -> tuple[AnyArray, F32]:
    """Symmetric int8 with one scale per index of `axis`, so that the largest weight becomes 127."""
    others = tuple(n for n in range(kernel.ndim) if n != axis)
    scale = np.maximum(np.abs(kernel).max(axis=others), 1e-8) / INT8_MAX
    shape = [1] * kernel.ndim
    shape[axis] = -1
    integers = np.rint(kernel / scale.reshape(shape)).clip(-INT8_MAX, INT8_MAX).astype(np.int8)
    return integers, scale.astype(np.float32)


def _dequantize(parts: list[str], name: str, **attributes: Any) -> NodeProto:
    return onnx.helper.make_node("DequantizeLinear", parts, [_dequantized(name)], **attributes)


def _dequantized(name: str) -> str:
    return f"{name}.dequantized"
