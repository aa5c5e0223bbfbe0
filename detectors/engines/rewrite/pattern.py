"""Finding patterns in a QDQ graph and writing what replaces them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper

from detectors.quantize.graph import Graph
from pipeline.core.arrays import F32, AnyArray

TO_CHANNELS_LAST = (0, 2, 3, 1)
TO_CHANNELS_FIRST = (0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class Constant:
    """Integers, and their scale by index of `axis`; the zero points are 0."""

    integers: AnyArray
    scale: F32
    axis: int = 0


@dataclass(frozen=True, slots=True)
class IntegerConv:
    """A convolution between DequantizeLinear and QuantizeLinear, its kernel and bias integers."""

    node: NodeProto
    dequantize: NodeProto
    quantize: NodeProto
    kernel: Constant
    bias: Constant


class Pattern:
    """A graph to match against, and the constants of what replaces its nodes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        inferred = onnx.shape_inference.infer_shapes(model)
        self.graph = Graph(inferred)
        self.constants: dict[str, AnyArray] = dict(self.graph.constants)
        self.dropped: set[str] = set()
        """Outputs of nodes whose work a replacement does."""
        self._places = {
            name: place for place, node in enumerate(self.graph.nodes) for name in node.output
        }
        values = (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
        self._shapes = {value.name: value.type.tensor_type.shape.dim for value in values}

    def rewritten(self, rewrite: Rewrite) -> onnx.ModelProto:
        """The model with what `rewrite` makes of each node; None leaves the node as it is."""
        nodes: list[NodeProto] = []
        for node in self.graph.nodes:
            if node.output[0] not in self.dropped:
                new = rewrite(self, node)
                nodes += [node] if new is None else new
        return self.graph.rebuilt(self._needed(nodes), self.constants)

    def _needed(self, nodes: list[NodeProto]) -> list[NodeProto]:
        """Choose the nodes that an output depends on, in the same order."""
        wanted = {output.name for output in self.graph.model.graph.output}
        needed = []
        for node in reversed(nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                needed.append(node)
        return needed[::-1]

    def sides(self, tensor: str) -> list[int] | None:
        """The dimensions of a tensor behind its batch, or None where one is free or unknown."""
        sides = [side.dim_value for side in self._shapes.get(tensor, [])][1:]
        return sides if sides and all(sides) else None

    def is_before(self, tensor: str, node: NodeProto) -> bool:
        """Whether `tensor` is made before `node` in the order of the graph."""
        return self._places[tensor] < self._places[node.output[0]]

    def producer(self, tensor: str, kind: str) -> NodeProto | None:
        """The node that makes `tensor`, if it is of that kind."""
        node = self.graph.producers.get(tensor)
        return node if node is not None and node.op_type == kind else None

    def only_reader(self, tensor: str, kind: str) -> NodeProto | None:
        """The node that alone reads `tensor`, if it is of that kind and `tensor` no output."""
        readers = self.graph.consumers[tensor]
        made = {output.name for output in self.graph.model.graph.output}
        if tensor in made or len(readers) != 1 or readers[0].op_type != kind:
            return None
        return readers[0]

    def integers(self, tensor: str) -> Constant | None:
        """The constant behind a DequantizeLinear whose zero points are 0."""
        node = self.producer(tensor, "DequantizeLinear")
        if node is None or any(name not in self.graph.constants for name in node.input):
            return None
        integers, scale, *zero = (self.graph.constants[name] for name in node.input)
        if scale.ndim != 1 or any(point.any() for point in zero):
            return None
        return Constant(integers, scale, attribute(node, "axis", 1) % integers.ndim)

    def integer_conv(self, node: NodeProto, kind: str) -> IntegerConv | None:
        """`node` and what it is made of, if it is such a convolution with one group and a bias."""
        if node.op_type != kind or len(node.input) != 3 or attribute(node, "group", 1) != 1:
            return None
        dequantize = self.producer(node.input[0], "DequantizeLinear")
        quantize = self.only_reader(node.output[0], "QuantizeLinear")
        kernel, bias = self.integers(node.input[1]), self.integers(node.input[2])
        if dequantize is None or quantize is None or kernel is None or bias is None:
            return None
        return IntegerConv(node, dequantize, quantize, kernel, bias)

    def constant(self, name: str, value: AnyArray) -> str:
        """Keep a new constant; returns its name."""
        self.constants[name] = value
        return name

    def dequantized(self, name: str, constant: Constant) -> NodeProto:
        """The node that makes a new constant of integers real."""
        zeros = np.zeros(constant.scale.shape, constant.integers.dtype)
        parts = [
            self.constant(f"{name}~integers", constant.integers),
            self.constant(f"{name}~scales", constant.scale),
            self.constant(f"{name}~zeros", zeros),
        ]
        made = [f"{name}~real"]
        return helper.make_node("DequantizeLinear", parts, made, made[0], axis=constant.axis)

    def moves(
        self, source: str, made: str, steps: Iterable[tuple[str, Sequence[int]]]
    ) -> list[NodeProto]:
        """Nodes from `source` to `made`: ("Transpose", axes) and ("Reshape", sides; 0: as is)."""
        nodes = []
        todo = list(steps)
        for n, (kind, numbers) in enumerate(todo):
            out = made if n == len(todo) - 1 else f"{made}~{n}"
            if kind == "Transpose":
                nodes.append(helper.make_node(kind, [source], [out], f"{out}~move", perm=numbers))
            else:
                shape = self.constant(f"{out}~shape", np.array(numbers, np.int64))
                nodes.append(helper.make_node(kind, [source, shape], [out], f"{out}~move"))
            source = out
        return nodes


Rewrite = Callable[[Pattern, NodeProto], Iterable[NodeProto] | None]


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """The value of an attribute, or `default` where the node does not have it."""
    for entry in node.attribute:
        if entry.name == name:
            return helper.get_attribute_value(entry)
    return default
