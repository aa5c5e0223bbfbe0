"""A signed QDQ graph as an unsigned one with the same numbers.

The integer kernels of ONNX Runtime on x86 want uint8 activations and int8 kernels. An int8 tensor
with zero point 0 holds the same real values as the uint8 tensor with zero point 128 whose integers
are 128 larger, saturation included. A ReLU in front of QuantizeLinear would keep a convolution in
float unless the zero point is the smallest integer; rounding is monotone and takes 0 to the zero
point, so the ReLU becomes a maximum on the integers behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import NodeProto

from detectors.quantize.graph import Graph
from pipeline.core.arrays import AnyArray

SHIFT = 128
QDQ = ("QuantizeLinear", "DequantizeLinear")


def unsigned(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with uint8 activations where they were int8; kernels are left as they are.

    Equal outputs, bit by bit, as long as the runtime computes float operators alike.
    """
    graph = Graph(model)
    constants: dict[str, AnyArray] = dict(graph.constants)
    nodes = [_shifted(graph, constants, node) for node in graph.nodes]
    shifted = Graph(graph.rebuilt(nodes, constants))
    writer = _ReluWriter(shifted)
    return shifted.rebuilt(writer.nodes(), writer.constants)


def _shifted(graph: Graph, constants: dict[str, AnyArray], node: NodeProto) -> NodeProto:
    """`node`, with a zero point moved by 128 where it quantizes or dequantizes an activation."""
    if node.op_type not in QDQ or node.input[0] in graph.constants or len(node.input) < 3:
        return node
    zero = graph.constants.get(node.input[2])
    if zero is None or zero.dtype != np.int8 or zero.ndim:
        return node
    moved = f"{node.input[2]}~unsigned"
    constants[moved] = (zero.astype(np.int16) + SHIFT).astype(np.uint8)
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.input[2] = moved
    return copy


class _ReluWriter:
    """Moves every ReLU between a convolution and its QuantizeLinear behind the latter."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.constants: dict[str, AnyArray] = dict(graph.constants)
        self._moved = {
            str(node.output[0]): str(node.input[0]) for node in graph.nodes if self._moves(node)
        }

    def nodes(self) -> Iterator[NodeProto]:
        for node in self._graph.nodes:
            if node.op_type == "QuantizeLinear" and node.input[0] in self._moved:
                yield from self._quantize_then_clip(node)
            elif node.op_type != "Relu" or node.output[0] not in self._moved:
                yield node

    def _moves(self, node: NodeProto) -> bool:
        """Whether `node` is a ReLU of a convolution whose one reader quantizes it to uint8 with a
        zero point that is not the least integer."""
        maker = self._graph.producers.get(node.input[0]) if node.op_type == "Relu" else None
        if maker is None or maker.op_type not in ("Conv", "ConvTranspose"):
            return False
        made = {str(output.name) for output in self._graph.model.graph.output}
        readers = self._graph.consumers[node.output[0]]
        if made.intersection((node.input[0], node.output[0])) or len(readers) != 1:
            return False
        reader = readers[0]
        zero = self._graph.constants.get(reader.input[-1])
        return (
            len(self._graph.consumers[node.input[0]]) == 1
            and reader.op_type == "QuantizeLinear"
            and zero is not None
            and zero.dtype == np.uint8
            and bool(zero > 0)
        )

    def _quantize_then_clip(self, node: NodeProto) -> Iterator[NodeProto]:
        zero = self._graph.constants[node.input[2]]
        least, most = f"{node.input[2]}~least", "uint8~most"
        self.constants |= {least: zero, most: np.array(255, np.uint8)}
        raw = f"{node.output[0]}~unclipped"
        inputs = [self._moved[node.input[0]], *node.input[1:]]
        yield onnx.helper.make_node("QuantizeLinear", inputs, [raw], node.name)
        yield onnx.helper.make_node(
            "Clip", [raw, least, most], list(node.output), f"{node.output[0]}.clip"
        )
