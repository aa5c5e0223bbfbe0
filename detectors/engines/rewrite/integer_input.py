"""The input of a quantized network as the integers that its first node would make of it.

A picture has 8 bits, and so has the grid of the first convolution: whoever fills the input can look
each pixel up in a table of 256, where the graph would multiply and round floats of four times the
size. Channels last, as pictures lie and as the integer convolution reads them: nothing is moved.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from detectors.engines.model_header import GRID_KEY
from detectors.engines.rewrite.pattern import TO_CHANNELS_FIRST
from detectors.quantize.graph import Graph


def integer_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its one input (B, C, H, W) float32 as (B, H, W, C) uint8, and its grid in the
    metadata. Unchanged unless all that reads the input is a QuantizeLinear to uint8 of one scale.

    Equal integers behind it, bit by bit, if the caller rounds as QuantizeLinear does.
    """
    graph = Graph(model)
    quantize = _only_quantize(graph)
    if quantize is None:
        return model
    scale, zero = (graph.constants[name] for name in quantize.input[1:])
    nodes = [_moved(node) if node is quantize else node for node in graph.nodes]
    new = graph.rebuilt(nodes, dict(graph.constants))
    tensor = new.graph.input[0].type.tensor_type
    tensor.elem_type = TensorProto.UINT8
    batch, channels, *sides = list(tensor.shape.dim)
    order = [batch, *sides, channels]
    copies = [type(side).FromString(side.SerializeToString()) for side in order]
    del tensor.shape.dim[:]
    tensor.shape.dim.extend(copies)
    said = new.metadata_props.add()
    said.key, said.value = GRID_KEY, f"{float(scale)!r} {int(zero)}"
    return new


def _only_quantize(graph: Graph) -> NodeProto | None:
    inputs = [value for value in graph.model.graph.input if value.name not in graph.constants]
    outputs = {value.name for value in graph.model.graph.output}
    if len(inputs) != 1 or len(graph.model.graph.input) != 1 or inputs[0].name in outputs:
        return None
    shape = inputs[0].type.tensor_type.shape.dim
    readers = graph.consumers[inputs[0].name]
    if len(shape) != 4 or len(readers) != 1 or readers[0].op_type != "QuantizeLinear":
        return None
    parts = [graph.constants.get(name) for name in readers[0].input[1:]]
    if len(parts) != 2 or any(part is None or part.size != 1 for part in parts):
        return None
    return readers[0] if parts[1] is not None and parts[1].dtype == np.uint8 else None


def _moved(quantize: NodeProto) -> NodeProto:
    source, made = quantize.input[0], quantize.output[0]
    return helper.make_node(
        "Transpose", [source], [made], f"{made}~move", perm=list(TO_CHANNELS_FIRST)
    )
