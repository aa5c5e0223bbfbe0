"""A signed QDQ graph in the form that OpenVINO computes right and fast, with the same numbers.

OpenVINO 2026.4 gets convolutions behind a concatenation, and sums, of signed 8-bit tensors wrong by
many steps of their grid. Tensors that are never negative, which is nearly all behind ReLUs, become
uint8 with zero point 0: clipping at 127 steps first keeps what int8 would saturate. The few others
become uint8 with zero point 128, which holds the same numbers. What has its own uint8 stays.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, helper

from detectors.quantize.graph import Graph
from pipeline.core.arrays import AnyArray

STEPS = 127
SHIFT = 128
QDQ = ("QuantizeLinear", "DequantizeLinear")
_KEEPS_SIGN = (*QDQ, "Concat", "MaxPool", "Add", "Mul", "Identity", "Reshape", "Transpose")
_STAYS_ON_GRID = ("Concat", "MaxPool")
ZERO, SHIFTED = "nonnegative.zero", "nonnegative.shifted"


def nonnegative(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with uint8 activations where they were int8; kernels are left as they are."""
    graph = Graph(model)
    writer = _Writer(graph)
    nodes = [written for node in graph.nodes for written in writer.write(node)]
    return graph.rebuilt(nodes, writer.constants)


class _Writer:
    """Rewrites one node after the other; `constants` are those of the new graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[str, bool] = {}
        for node in graph.nodes:  # in graph order: inputs are known before outputs
            self._known |= dict.fromkeys(node.output, self._is_nonnegative(node))
        self.constants: dict[str, AnyArray] = {
            **graph.constants,
            ZERO: np.array(0, np.uint8),
            SHIFTED: np.array(SHIFT, np.uint8),
            f"{ZERO}.limit": np.array(0, np.float32),
        }

    def write(self, node: NodeProto) -> list[NodeProto]:
        """What takes the place of `node`."""
        if not self._is_signed_activation(node):
            return [node]
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[2] = ZERO if self._known[node.output[0]] else SHIFTED
        before = self._clip(copy) if copy.input[2] == ZERO and node.op_type == QDQ[0] else []
        return [*before, copy]

    def _is_nonnegative(self, node: NodeProto) -> bool:
        if node.op_type in ("Relu", "Sigmoid"):
            return True
        return node.op_type in _KEEPS_SIGN and all(
            self._is_nonnegative_input(name)
            for name in (node.input[:1] if node.op_type in (*QDQ, "Reshape") else node.input)
        )

    def _is_nonnegative_input(self, name: str) -> bool:
        value = self._graph.constants.get(name)
        return self._known.get(name, False) if value is None else bool((value >= 0).all())

    def _is_signed_activation(self, node: NodeProto) -> bool:
        """Whether it quantizes or dequantizes, per tensor, with an int8 zero point of 0."""
        if node.op_type not in QDQ or node.input[0] in self._graph.constants:
            return False
        zero = self._graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        return zero is not None and zero.dtype == np.int8 and zero.ndim == 0 and not zero

    def _clip(self, quantizer: NodeProto) -> list[NodeProto]:
        """Saturate at 127 steps, where something larger could come; int8 did so by itself."""
        source, scale = quantizer.input[0], quantizer.input[1]
        if self._is_within_grid(source, scale):
            return []
        limit, clipped = f"{quantizer.output[0]}.limit", f"{quantizer.output[0]}.clipped"
        self.constants[limit] = np.asarray(self._graph.constants[scale] * STEPS, np.float32)
        quantizer.input[0] = clipped
        return [helper.make_node("Clip", [source, f"{ZERO}.limit", limit], [clipped])]

    def _is_within_grid(self, tensor: str, scale: str) -> bool:
        """Whether it is only joined or pooled from tensors on the grid of that scale."""
        node = self._graph.producers.get(tensor)
        if node is None:
            return False
        if node.op_type == QDQ[1]:
            constants = self._graph.constants
            return bool(constants[node.input[1]] <= constants[scale])
        return node.op_type in _STAYS_ON_GRID and all(
            self._is_within_grid(name, scale) for name in node.input
        )
