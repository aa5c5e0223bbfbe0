"""Where a graph is quantized: which tensors get a grid, which share one, who reads integers.

A tensor gets a grid when a quantized convolution reads it, or makes it and another convolution is
on its way; a join or a pool in front of a quantized convolution passes the need on to its inputs.
What only float operators read on the way to the outputs, as the predictions of a head, has none:
there the convolution's sum leaves as float.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from onnx import NodeProto

from detectors.quantize.graph import Graph

CONVOLUTIONS = ("Conv", "ConvTranspose")
MOVES = ("MaxPool", "Concat")
"""Operators whose output holds values of their inputs: on one grid they only move bytes."""


class Placement:
    """The plan of one graph; convolutions named in `skip` stay float.

    Raises `ValueError` when `skip` names what is no convolution of the graph.
    """

    def __init__(self, graph: Graph, skip: Collection[str] = ()) -> None:
        unknown = sorted(set(skip).difference(graph.layer_names()))
        if unknown:
            raise ValueError(f"no such convolution in the graph: {', '.join(unknown)}")
        self.graph, self._skip = graph, frozenset(skip)
        self.tensors: dict[str, None] = {}
        """The tensors with a grid, in the order of discovery; a dict as an ordered set."""
        for node in graph.nodes:
            if self.has_integer_kernel(node):
                self._want(str(node.input[0]))
                made = self.after_relu(node)
                if self._leads_to_convolution(made):
                    self._want(made)

    def has_integer_kernel(self, node: NodeProto) -> bool:
        """Whether `node` is a convolution to quantize."""
        return node.op_type in CONVOLUTIONS and node.name not in self._skip

    def after_relu(self, node: NodeProto) -> str:
        """The output of `node`, or of the ReLU that alone reads it."""
        made = str(node.output[0])
        readers = self.graph.consumers[made]
        if [reader.op_type for reader in readers] == ["Relu"]:
            made = str(readers[0].output[0])
        return made

    def scaled_source(self, tensor: str) -> tuple[str, float]:
        """(x, a) when `tensor` is a * x, a > 0 constant, and has one reader; else itself and 1."""
        node = self.graph.producers.get(tensor)
        if node is not None and node.op_type == "Mul" and len(self.graph.consumers[tensor]) == 1:
            for factor, other in (node.input, reversed(node.input)):
                value = self.graph.constants.get(factor)
                if value is not None and value.size == 1 and float(value.item()) > 0:
                    return str(other), float(value.item())
        return tensor, 1.0

    def adds_integers(self, node: NodeProto) -> bool:
        """Whether an Add stays in 8 bits: its sum and both terms have grids."""
        terms = [self.scaled_source(str(name))[0] for name in node.input]
        return node.output[0] in self.tensors and all(term in self.tensors for term in terms)

    def reads_integers(self, node: NodeProto, tensor: str) -> bool:
        """Whether `node` reads `tensor` off its grid, rather than the float values before it.

        Float operators do so only where the tensor comes from an integer kernel, which has no
        float values to give.
        """
        if tensor not in self.tensors:
            return False
        if self.has_integer_kernel(node):
            return True
        if node.op_type in MOVES and node.output[0] in self.tensors:
            return True
        return self._comes_from_integers(tensor)

    def _want(self, tensor: str) -> None:
        if tensor in self.tensors or tensor in self.graph.constants:
            return
        self.tensors[tensor] = None
        producer = self.graph.producers.get(tensor)
        if producer is not None and producer.op_type in MOVES:
            for name in producer.input:
                self._want(str(name))

    def _leads_to_convolution(self, tensor: str) -> bool:
        """Whether a convolution reads `tensor`, also after joins, sums and pools."""
        return any(
            reader.op_type in CONVOLUTIONS
            or (
                reader.op_type in (*MOVES, "Add", "Mul", "Relu")
                and self._leads_to_convolution(str(reader.output[0]))
            )
            for reader in self.graph.consumers[tensor]
        )

    def _comes_from_integers(self, tensor: str) -> bool:
        node = self.graph.producers.get(tensor)
        if node is not None and node.op_type == "Relu":
            node = self.graph.producers.get(str(node.input[0]))
        if node is None:
            return False
        if node.op_type == "Add":
            return self.adds_integers(node)
        return self.has_integer_kernel(node) or node.op_type in MOVES


def groups(graph: Graph, tensors: Collection[str]) -> list[tuple[str, ...]]:
    """Find groups of `tensors` that must share a grid, two or more each; disjoint.

    Pools and joins share with what only they read. What has other readers too keeps its own grid,
    as fine as those readers need it.
    """
    leader = {name: name for name in tensors}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for node in graph.nodes:
        made = str(node.output[0])
        if node.op_type in MOVES and made in leader:
            for name in map(str, node.input):
                alone = len(graph.consumers[name]) == 1
                if name in leader and (alone or node.op_type == "MaxPool"):
                    leader[find(name)] = find(made)
    members: dict[str, list[str]] = defaultdict(list)
    for name in leader:
        members[find(name)].append(name)
    return [tuple(names) for names in members.values() if len(names) > 1]
