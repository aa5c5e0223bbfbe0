"""Rewriting a float graph so that it stays in 8 bits between its convolutions.

Every tensor with a grid passes a QuantizeLinear/DequantizeLinear pair, which runtimes fuse with the
operators around it. All is symmetric int8 with zero point 0: kernels with one scale per output
channel, activations with one per tensor. Biases are int32. A runtime whose kernels want another
form derives it at load.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto

from detectors.quantize.graph import Graph
from detectors.quantize.placement import Placement, groups
from pipeline.core.arrays import F32, AnyArray

__all__ = [
    "OPSET",
    "activation_scale",
    "activations",
    "groups",
    "layer_names",
    "quantize",
    "quantize_kernel",
]

OPSET = 19
INT8_MAX = 127


def layer_names(graph: Graph) -> list[str]:
    """The names of all convolutions, transposed ones too, in the order of the graph."""
    return graph.layer_names()


def activations(graph: Graph, skip: Collection[str] = ()) -> list[str]:
    """The tensors to quantize when the convolutions named in `skip` stay float.

    Raises `ValueError` when `skip` names what is no convolution of the graph.
    """
    return list(Placement(graph, skip).tensors)


def quantize(
    graph: Graph, ranges: Mapping[str, float], *, skip: Collection[str] = ()
) -> onnx.ModelProto:
    """The rewritten model; the convolutions named in `skip` keep float kernels.

    `ranges` holds for each of `activations(graph, skip)` the largest magnitude that it can
    represent: the scale is range / 127. Others are ignored. Tensors that share a grid get the
    largest range of their group.

    Raises `ValueError` for a missing, negative or infinite range, or an unknown name in `skip`.
    """
    placement = Placement(graph, skip)
    for name in placement.tensors:
        if not math.isfinite(ranges.get(name, math.nan)) or ranges[name] < 0:
            raise ValueError(f"the range of {name} is {ranges.get(name)}; it must be 0 or more")
    tops = {name: ranges[name] for name in placement.tensors}
    for group in groups(graph, tops):
        tops |= dict.fromkeys(group, max(tops[name] for name in group))
    scales = {name: activation_scale(top) for name, top in tops.items()}
    writer = _Writer(placement, scales)
    for node in graph.nodes:
        writer.add(node)
    model = graph.rebuilt(writer.inputs + writer.nodes, writer.constants)
    if model.opset_import[0].version < OPSET:
        model = onnx.version_converter.convert_version(model, OPSET)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Writer:
    """Emits the nodes of the rewritten graph; `scales` are those of the tensors with a grid."""

    def __init__(self, placement: Placement, scales: Mapping[str, float]) -> None:
        self.placement, self.scales = placement, scales
        self.graph = placement.graph
        self.nodes: list[NodeProto] = []
        self.inputs: list[NodeProto] = []
        self.constants: dict[str, AnyArray] = dict(self.graph.constants)
        for value in self.graph.model.graph.input:
            if value.name in scales:
                self.inputs += self._pair(value.name)

    def add(self, node: NodeProto) -> None:
        """Emit `node` on dequantized tensors, and quantize what it makes where there is a grid."""
        copy = NodeProto()
        copy.CopyFrom(node)
        for n, name in enumerate(node.input):
            if node.op_type == "Add" and self.placement.adds_integers(node):
                copy.input[n] = self._term(name)
            elif self.placement.reads_integers(node, name):
                copy.input[n] = _dequantized(name)
        if self.placement.has_integer_kernel(node):
            self._quantize_kernel(copy, self.scales[node.input[0]])
        if not self._is_absorbed(node):
            self.nodes.append(copy)
        for name in node.output:
            if name in self.scales:
                self.nodes += self._pair(name)

    def _is_absorbed(self, node: NodeProto) -> bool:
        """Whether a product became the scale of a term."""
        made = str(node.output[0])
        readers = self.graph.consumers[made]
        return (
            [reader.op_type for reader in readers] == ["Add"]
            and self.placement.adds_integers(readers[0])
            and self.placement.scaled_source(made)[0] != made
        )

    def _term(self, name: str) -> str:
        """What an Add reads: a * x needs no product, x is dequantized with a times its scale."""
        source, factor = self.placement.scaled_source(name)
        if source != name:
            scale, zero = f"{name}.scale", f"{source}.zero_point"
            self.constants[scale] = np.array(self.scales[source] * factor, np.float32)
            self.nodes.append(_dequantize([f"{source}.quantized", scale, zero], name))
        return _dequantized(name)

    def _pair(self, name: str) -> list[NodeProto]:
        self.constants[f"{name}.scale"] = np.array(self.scales[name], np.float32)
        self.constants[f"{name}.zero_point"] = np.array(0, np.int8)
        how = [f"{name}.scale", f"{name}.zero_point"]
        integers = f"{name}.quantized"
        return [
            onnx.helper.make_node("QuantizeLinear", [name, *how], [integers], f"{name}.quantize"),
            _dequantize([integers, *how], name),
        ]

    def _quantize_kernel(self, node: NodeProto, input_scale: float) -> None:
        kernel = self.graph.constants[node.input[1]].astype(np.float32)
        axis = 0 if node.op_type == "Conv" else 1
        integers, scale = quantize_kernel(kernel, axis)
        node.input[1] = self._constant(node.input[1], integers, scale, axis)
        if len(node.input) > 2:
            bias = self.graph.constants[node.input[2]].astype(np.float64)
            scale_of_sum = (scale.astype(np.float64) * input_scale).astype(np.float32)
            steps = np.rint(bias / scale_of_sum).clip(-(2**31), 2**31 - 1).astype(np.int32)
            node.input[2] = self._constant(node.input[2], steps, scale_of_sum, 0)

    def _constant(self, name: str, integers: AnyArray, scale: F32, axis: int) -> str:
        zero = np.zeros(scale.shape, integers.dtype)
        parts = {f"{name}.quantized": integers, f"{name}.scale": scale, f"{name}.zero": zero}
        self.constants |= parts
        self.nodes.append(_dequantize(list(parts), name, axis=axis))
        return _dequantized(name)


def activation_scale(top: float) -> float:
    """The step of a grid that ends at `top`, 0 or more; at 1 where `top` is 0."""
    return (top or 1.0) / INT8_MAX


def quantize_kernel(kernel: F32, axis: int) -> tuple[AnyArray, F32]:
    """Symmetric int8 with one scale per index of `axis`, so that the largest weight becomes 127."""
    others = tuple(n for n in range(kernel.ndim) if n != axis)
    scale = np.maximum(np.abs(kernel).max(axis=others), 1e-8) / INT8_MAX
    shape = [1] * kernel.ndim
    shape[axis] = -1
    integers = np.rint(kernel / scale.reshape(shape)).clip(-INT8_MAX, INT8_MAX).astype(np.int8)
    return integers, scale.astype(np.float32)


def _dequantize(parts: list[str], name: str, **attributes: Any) -> NodeProto:
    made = [_dequantized(name)]
    return onnx.helper.make_node(
        "DequantizeLinear", parts, made, f"{name}.dequantize", **attributes
    )


def _dequantized(name: str) -> str:
    return f"{name}.dequantized"
