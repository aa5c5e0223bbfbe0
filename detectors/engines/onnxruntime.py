"""ONNX Runtime on the CPU."""

import os
from pathlib import Path
from typing import Any

import onnxruntime as ort

from detectors.base import Precision, TensorSpec
from pipeline.core.arrays import AnyArray
from pipeline.core.errors import EngineLoadError, EngineRunError

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_PROVIDER = "CPUExecutionProvider"


class OnnxRuntimeEngine:
    """One ONNX file in an ONNX Runtime session on the CPU.

    `threads` compute one batch together; 0 takes all cores this process may use. Threads do not
    spin while they wait, so that decoding gets the cores in between.

    Raises `EngineLoadError` when the file is missing, damaged, or asks for more than this runtime.
    """

    name = "onnxruntime-cpu"

    def __init__(self, path: Path, threads: int = 0) -> None:
        self._path = path
        self._session: Any = _open(path, threads or len(os.sched_getaffinity(0)))
        self.inputs = tuple(_spec(node) for node in self._session.get_inputs())
        self.outputs = tuple(_spec(node) for node in self._session.get_outputs())
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.precision: Precision = (
            "int8" if self.metadata.get("eyrie.precision") == "int8" else "fp32"
        )
        self._output_names = [spec.name for spec in self.outputs]

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        """See `detectors.base.Engine.run`."""
        if self._session is None:
            raise EngineRunError(f"{self._path.name}: the engine is closed")
        feed = {spec.name: tensor for spec, tensor in zip(self.inputs, tensors, strict=True)}
        try:
            return tuple(self._session.run(self._output_names, feed))
        except Exception as error:
            raise EngineRunError(f"{self._path.name} on {self.name}: {_one_line(error)}") from error

    def close(self) -> None:
        """See `detectors.base.Engine.close`."""
        self._session = None


def _open(path: Path, threads: int) -> Any:
    if not path.is_file():
        raise EngineLoadError(f"model {path}: there is no such file")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its errors arrive as exceptions; printing them too is noise
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(str(path), options, providers=[_PROVIDER])
    except Exception as error:
        raise EngineLoadError(
            f"model {path}: not an ONNX file for ONNX Runtime: {_one_line(error)}"
        ) from error
    if session.get_providers() != [_PROVIDER]:
        raise EngineLoadError(f"model {path}: loaded on {session.get_providers()}, not the CPU")
    return session


def _spec(node: Any) -> TensorSpec:
    shape = tuple(side if isinstance(side, int) else None for side in node.shape)
    return TensorSpec(node.name, _DTYPES.get(node.type, node.type), shape)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
