"""An ONNX graph as a strongly typed runtime should run it: float parts in half precision. Needs
onnx.

Such a runtime computes each operator in the type that the graph gives its tensors, so a QDQ file,
whose float parts are float32, has to be rewritten to gain anything from half precision there.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto

from detectors.engines.planned import CONVOLUTIONS
from detectors.quantize.graph import Graph
from pipeline.core.arrays import F32, AnyArray
from pipeline.core.errors import EngineLoadError

HALF_SCALES_OPSET = 19  # from here on QuantizeLinear and DequantizeLinear take float16 scales
QDQ = ("QuantizeLinear", "DequantizeLinear")
ALWAYS_FLOAT32 = {"Resize": (1, 2)}  # inputs that the operator's definition fixes to float32
LARGEST_HALF = float(np.finfo(np.float16).max)
INT8_MAX = 127


def with_float_biases(graph: Graph) -> Graph:
    """The same with each int32 bias behind a DequantizeLinear as a float32 constant.

    TensorRT dequantizes only 8-bit integers. The values are those that the nodes would compute.
    """
    constants, nodes = dict(graph.constants), []
    for node in graph.nodes:
        integers = constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if integers is None or integers.dtype != np.int32:
            nodes.append(node)
            continue
        scale = constants[node.input[1]].astype(np.float64)
        constants[node.output[0]] = (integers * scale).astype(np.float32)
    return Graph(graph.rebuilt(nodes, constants))


def to_half(graph: Graph, where: str) -> onnx.ModelProto:
    """The graph in float16 up to what follows its last convolutions, which stays float32.

    So do inputs and outputs: half precision has steps of half a pixel at 512 to 1024. Scales of
    kernels that float16 rounds are made good for in the kernel's integers. `where` names the file
    in errors. Raises `EngineLoadError` for a graph that cannot be had in half precision.
    """
    graph = with_float_biases(graph)
    _check_opset(graph, where)
    writer = _Writer(graph, where)
    tail = _tail(graph)
    for node in graph.nodes:
        writer.add(node, half=node.output[0] not in tail)
    writer.end()
    model = graph.rebuilt(writer.nodes, writer.constants)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EngineLoadError(f"model {where}: has no half-precision form: {error}") from error
    return model


def _check_opset(graph: Graph, where: str) -> None:
    opset = max(entry.version for entry in graph.model.opset_import if not entry.domain)
    if opset < HALF_SCALES_OPSET and any(node.op_type in QDQ for node in graph.nodes):
        raise EngineLoadError(
            f"model {where}: is of opset {opset}, and half-precision scales need "
            f"{HALF_SCALES_OPSET}; quantize the FP32 file again with eyrie model quantize"
        )


def _tail(graph: Graph) -> set[str]:
    """The first outputs of the nodes from which no convolution can be reached."""
    tail: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op_type in CONVOLUTIONS or node.op_type in QDQ:
            continue
        readers = [reader for name in node.output for reader in graph.consumers[name]]
        if all(reader.output[0] in tail for reader in readers):
            tail.add(node.output[0])
    return tail


class _Writer:
    """Emits the nodes of the rewritten graph in order, with casts where the type changes."""

    def __init__(self, graph: Graph, where: str) -> None:
        self.graph, self.where = graph, where
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, AnyArray] = dict(graph.constants)
        self._outputs = {value.name for value in graph.model.graph.output}
        self._half: set[str] = set()
        """Tensors that are float16 by now, by their name in the old graph."""
        self._wide: set[str] = {
            value.name
            for value in graph.model.graph.input
            if value.type.tensor_type.elem_type == TensorProto.FLOAT
        }
        """Tensors that are float32."""
        self._cast: set[str] = set()
        self._types = _types(graph)

    def add(self, node: NodeProto, *, half: bool) -> None:
        """Emit `node` on tensors of the wanted type."""
        copy = NodeProto()
        copy.CopyFrom(node)
        fixed = ALWAYS_FLOAT32.get(node.op_type, ())
        for n, name in enumerate(node.input):
            copy.input[n] = self._narrow(name) if half and n not in fixed else self._widen(name)
        if half and node.op_type in QDQ:
            self._round_scale(copy, node)
        if half and node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT:
            copy.attribute[0].i = TensorProto.FLOAT16
        self.nodes.append(copy)
        for name in node.output:
            if self._types.get(name) == TensorProto.FLOAT:
                (self._half if half else self._wide).add(name)

    def end(self) -> None:
        """Give outputs that became float16 their float32 back, under their own names."""
        for node in self.nodes:
            for n, name in enumerate(node.output):
                if name in self._outputs & self._half:
                    node.output[n] = f"{name}.half"
            for n, name in enumerate(node.input):
                if name in self._outputs & self._half:
                    node.input[n] = f"{name}.half"
        for name in sorted(self._outputs & self._half):
            self.nodes.append(_cast(f"{name}.half", name, TensorProto.FLOAT))

    def _narrow(self, name: str) -> str:
        """The name of a tensor as float16, if it is a float at all."""
        value = self.graph.constants.get(name)
        if value is not None and value.dtype == np.float32:
            return self._constant(name, self._rounded(name, value))
        return self._converted(name, TensorProto.FLOAT16) if name in self._wide else name

    def _widen(self, name: str) -> str:
        return self._converted(name, TensorProto.FLOAT) if name in self._half else name

    def _converted(self, name: str, to: int) -> str:
        made = f"{name}.as_{'half' if to == TensorProto.FLOAT16 else 'float'}"
        if made not in self._cast:
            self._cast.add(made)
            self.nodes.append(_cast(name, made, to))
        return made

    def _constant(self, name: str, value: AnyArray) -> str:
        self.constants[f"{name}.as_half"] = value
        return f"{name}.as_half"

    def _rounded(self, name: str, value: AnyArray) -> AnyArray:
        largest = float(np.abs(value).max(initial=0.0))
        if not largest <= LARGEST_HALF:
            raise EngineLoadError(
                f"model {self.where}: {name} holds {largest:g}, more than half precision can hold"
            )
        return value.astype(np.float16)

    def _round_scale(self, copy: NodeProto, node: NodeProto) -> None:
        """Scales as positive float16; of a kernel, the integers that mean the same with them."""
        scale = self.graph.constants[node.input[1]]
        rounded = half_scale(scale)
        copy.input[1] = self._constant(node.input[1], rounded)
        integers = self.graph.constants.get(node.input[0])
        if integers is None:
            return
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        ratio = _along(scale.astype(np.float64) / rounded.astype(np.float64), axis, integers.ndim)
        fitted = np.rint(integers * ratio).clip(-INT8_MAX, INT8_MAX).astype(np.int8)
        copy.input[0] = f"{node.input[0]}.as_half"
        self.constants[copy.input[0]] = fitted


def half_scale(scale: F32) -> AnyArray:
    """Positive scales as the nearest float16 that is no smaller: nothing saturates by it, and
    none becomes 0."""
    rounded = scale.astype(np.float16)
    low = rounded.astype(np.float32) < scale
    return np.where(low, np.nextafter(rounded, np.float16(np.inf)), rounded).astype(np.float16)


def _along(values: AnyArray, axis: int, rank: int) -> AnyArray:
    shape = [1] * rank
    if values.size > 1:
        shape[axis] = -1
    return values.reshape(shape)


def _types(graph: Graph) -> dict[str, int]:
    """The element type of every tensor that nodes make."""
    model = graph.rebuilt(graph.nodes, graph.constants)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    known = [*inferred.graph.value_info, *inferred.graph.output]
    return {value.name: value.type.tensor_type.elem_type for value in known}


def _cast(source: str, made: str, to: int) -> NodeProto:
    return onnx.helper.make_node("Cast", [source], [made], name=f"{made}/Cast", to=to)
