"""The fake's running half: engines, contexts, the inspector."""

from __future__ import annotations

import base64
import ctypes
import json
from typing import Any

import numpy as np
import onnx
import onnxruntime

from tests.detectors.engines.tensorrt.contracted import START, Contracted

NUMPY: dict[int, Any] = {1: np.float32, 10: np.float16}
DATA_TYPES = {1: "FLOAT", 10: "HALF"}


class Runtime(Contracted):
    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
        assert serialized_engine.startswith(START), "undefined: not a plan at all"
        said = json.loads(serialized_engine.removeprefix(START))
        assert said["version"] == self._version, "undefined: a plan of another version"
        self._world.deserialized += 1
        if self._fails("deserialize"):
            self._logger._complain("out of memory")
            return None
        return self._trt.ICudaEngine(said, self._logger)


class ICudaEngine(Contracted):
    device_memory_size_v2 = 4096

    def __init__(self, said: dict[str, Any], logger: Any) -> None:
        self._said, self._logger = said, logger
        self._model = onnx.load_from_string(base64.b64decode(said["onnx"]))
        graph = self._model.graph
        self._values = {value.name: value for value in (*graph.output, *graph.input)}
        self._inputs = {value.name for value in graph.input}

    @property
    def num_io_tensors(self) -> int:
        return len(self._values)

    def get_tensor_name(self, index: int) -> str:
        return str(list(self._values)[index])

    def get_tensor_mode(self, name: str) -> Any:
        return self._trt.TensorIOMode["INPUT" if name in self._inputs else "OUTPUT"]

    def get_tensor_dtype(self, name: str) -> Any:
        kind = self._values[name].type.tensor_type.elem_type
        return self._trt.DataType[DATA_TYPES[kind]]

    def get_tensor_shape(self, name: str) -> list[int]:
        sides = self._values[name].type.tensor_type.shape.dim
        return [side.dim_value if side.HasField("dim_value") else -1 for side in sides]

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[list[int]]:
        assert profile_index == 0
        shapes: list[list[int]] = self._said["shapes"][name]
        return shapes

    def create_execution_context(self, strategy: Any) -> Any:
        if self._fails("context"):
            self._logger._complain("out of memory")
            return None
        return self._trt.IExecutionContext(self)

    def create_engine_inspector(self) -> Any:
        return self._trt.EngineInspector(self)


class EngineInspector(Contracted):
    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def get_engine_information(self, format: Any) -> str:  # noqa: A002
        assert format is self._trt.LayerInformationFormat.JSON
        graph = self._engine._model.graph
        made = {name: node.op_type for node in graph.node for name in node.output}
        said = [
            self._layer(node, made.get(node.input[1]) == "DequantizeLinear")
            for node in graph.node
            if node.op_type in ("Conv", "ConvTranspose")
        ]
        names = list(self._engine._values)
        new = self._version.startswith("11")
        return json.dumps({"Layers": said, "I/O Tensors" if new else "Bindings": names})

    def _layer(self, node: onnx.NodeProto, quantized: bool) -> Any:
        name = f"{node.name} + {node.name}/Relu"
        if self._engine._said["verbosity"] != "DETAILED":
            return str(name)
        kind = "Int8" if quantized and not self._fails("int8") else "FP16"
        tensor = {"Name": node.input[0], "Format/Datatype": f"Channel major {kind} format"}
        if self._version.startswith("11"):
            tensor = {"Name": node.input[0], "Format": "Channel major", "Datatype": kind}
        return {
            "Name": name,
            "LayerType": "CaskConvolution",
            "Inputs": [tensor],
            "TacticName": "sm80_xmma_i8i8_i8i32" if kind == "Int8" else "sm80_xmma_f16f16",
            "Metadata": f"[ONNX Layer: {node.name}]",
        }


class IExecutionContext(Contracted):
    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._memory = 0
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # several that spin slow each other on a busy machine
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        model = self._engine._model.SerializeToString()
        self._session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size >= self._engine.device_memory_size_v2
        self._memory = memory

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        return profile_index == 0 and not self._fails("choose")

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        low, _, high = self._engine._said["shapes"][name]
        inside = all(a <= side <= b for a, side, b in zip(low, shape, high, strict=True))
        self._shapes[name] = shape
        return inside and not self._fails("shape")

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return name in self._engine._values and not self._fails("address")

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert self._memory, "undefined: no memory between layers"
        unknown = set(self._engine._values) - set(self._addresses)
        if self._fails("execute") or unknown or set(self._shapes) != self._engine._inputs:
            self._engine._logger._complain("an address or a shape is missing")
            return False
        feed = {name: self._array(name, shape) for name, shape in self._shapes.items()}
        names = [name for name in self._engine._values if name not in feed]
        for name, values in zip(names, self._session.run(names, feed), strict=True):
            self._array(name, values.shape)[...] = values
        self._world.executed.append(next(iter(self._shapes.values()))[0])
        return True

    def _array(self, name: str, shape: tuple[int, ...]) -> Any:
        kind = NUMPY[self._engine._values[name].type.tensor_type.elem_type]
        count = int(np.prod(shape)) * np.dtype(kind).itemsize
        memory = (ctypes.c_char * count).from_address(self._addresses[name])
        return np.frombuffer(memoryview(memory).cast("B"), kind).reshape(shape)
