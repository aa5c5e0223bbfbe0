"""What a QDQ graph asks an engine to run in 8 bits, convolution by convolution. Needs onnx."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from detectors.base import Precision
from detectors.quantize.graph import Graph
from pipeline.core.errors import EngineLoadError

CONVOLUTIONS = ("Conv", "ConvTranspose")


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """One convolution of a file, and what the file wants it to run in."""

    name: str
    operator: str
    precision: Precision


def planned_layers(graph: Graph) -> list[PlannedLayer]:
    """All convolutions in graph order.

    `int8` are those that read both picture and kernel through DequantizeLinear: engines compute
    these in integers. The others run in the type of their kernel.
    """
    return [
        PlannedLayer(node.name, node.op_type, _precision(graph, node))
        for node in graph.nodes
        if node.op_type in CONVOLUTIONS
    ]


def check_symmetric(graph: Graph, where: str) -> None:
    """Raise `EngineLoadError` unless every 8-bit grid is signed with zero point 0, as TensorRT
    demands; `where` names the file."""
    for node in graph.nodes:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        zero = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero is None:
            raise EngineLoadError(
                f"model {where}: {node.op_type} {node.name or node.output[0]} has no constant "
                "zero point; quantize the FP32 file again with eyrie model quantize"
            )
        if zero.dtype not in (np.int8, np.int32) or zero.any():
            raise EngineLoadError(
                f"model {where}: {node.output[0]} is {zero.dtype} around {int(zero.flat[0])}, but "
                "TensorRT runs only int8 around 0; quantize the FP32 file again with "
                "eyrie model quantize"
            )


def _precision(graph: Graph, node: onnx.NodeProto) -> Precision:
    makers = [graph.producers.get(name) for name in node.input[:2]]
    if all(maker is not None and maker.op_type == "DequantizeLinear" for maker in makers):
        return "int8"
    kernel = graph.constants.get(node.input[1])
    return "fp16" if kernel is not None and kernel.dtype == np.float16 else "fp32"
