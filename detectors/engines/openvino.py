"""OpenVINO on the CPU."""

import os
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from detectors.base import Precision, TensorSpec
from detectors.engines.device import cpu_name
from detectors.engines.model_header import PRECISION_KEY, ModelHeader
from detectors.engines.openvino_core import core
from detectors.engines.options import EngineOptions, damaged_graph, not_as_said, wrong_precision
from detectors.engines.telemetry import without_telemetry
from pipeline.core.arrays import AnyArray
from pipeline.core.errors import EngineLoadError, EngineRunError
from pipeline.core.log import one_line

with without_telemetry():
    from openvino.frontend import FrontEndManager

_DEVICE = "CPU"
_DTYPES = {"f32": "float32", "f16": "float16", "u8": "uint8"}
_CONVOLUTIONS = ("Convolution", "Deconvolution")
_EXECUTED: dict[str, Precision] = {
    "i8": "int8", "u8": "int8", "f16": "fp16", "f32": "fp32",
}  # fmt: skip
_QUANTIZED = b"QuantizeLinear"
_LONGEST_ERROR = 300


class OpenVinoEngine:
    """One ONNX file compiled by OpenVINO for the CPU.

    Where the file says nothing else it runs in float32: OpenVINO's own choice would be bfloat16 on
    some CPUs. `precision: fp16` of a float file is run where the CPU computes in half precision.
    `hint: latency` gives all threads to one request; `throughput` has several requests at once, and
    a batch is cut into as many parts. `cache` keeps what was compiled.

    Raises `EngineLoadError` when the file is damaged or asks for more than this runtime, or when
    the CPU does not run it in the precision asked for.
    """

    name = "openvino-cpu"
    batch_limit: int | None = None
    concurrency = 1
    can_be_sized = True

    def __init__(self, path: Path, options: EngineOptions) -> None:
        self._path = path
        self.device = cpu_name()
        header = ModelHeader.read(path)
        self.metadata: dict[str, str] = header.metadata
        half = options.precision == "fp16"
        if options.precision not in (None, header.precision) and not (
            half and header.precision == "fp32"
        ):
            assert options.precision is not None
            raise wrong_precision(path, header.precision, options.precision, self.name)
        if half:
            _require_half(path)
        compiled = _compiled(path, _properties(options, half), options.size)
        self.precision: Precision = _executed(compiled)
        if options.precision not in (None, self.precision):
            assert options.precision is not None
            raise wrong_precision(path, self.precision, options.precision, self.name)
        said = header.metadata.get(PRECISION_KEY, self.precision)
        if options.precision is None and said != self.precision:
            raise not_as_said(path, self.precision, said, self.name)
        self.inputs = tuple(_spec(port) for port in compiled.inputs)
        self.outputs = tuple(_spec(port) for port in compiled.outputs)
        count = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests: list[Any] = [compiled.create_infer_request() for _ in range(count)]

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        """See `detectors.base.Engine.run`."""
        if not self._requests:
            raise EngineRunError(f"{self._path.name}: the engine is closed")
        if len(tensors) != len(self.inputs):
            raise EngineRunError(
                f"{self._path.name}: takes {len(self.inputs)} tensors, got {len(tensors)}"
            )
        try:
            return self._run(tensors)
        except Exception as error:
            raise EngineRunError(f"{self._path.name} on {self.name}: {_short(error)}") from error

    def close(self) -> None:
        """See `detectors.base.Engine.close`."""
        self._requests = []

    def _run(self, tensors: tuple[AnyArray, ...]) -> tuple[AnyArray, ...]:
        """Each request takes a part of the batch; all of them work at once."""
        started = []
        try:
            for request, part in zip(self._requests, self._parts(tensors), strict=False):
                request.start_async(dict(enumerate(part)), share_inputs=True)
                started.append((request, part))
        finally:
            for request, _ in started:  # also before an error: they read the caller's arrays
                request.wait()
        ports = range(len(self.outputs))
        found = [[request.get_output_tensor(n).data for n in ports] for request, _ in started]
        if len(found) == 1:
            return tuple(array.copy() for array in found[0])
        return tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))

    def _parts(self, tensors: tuple[AnyArray, ...]) -> Iterator[list[AnyArray]]:
        """At most as many parts as there are requests, as equal as can be."""
        batch = len(tensors[0])
        count = max(1, min(batch, len(self._requests)))
        edges = [batch * n // count for n in range(count + 1)]
        for start, stop in pairwise(edges):
            yield [np.ascontiguousarray(tensor[start:stop]) for tensor in tensors]


def _properties(options: EngineOptions, half: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f16" if half else "f32",
        "INFERENCE_NUM_THREADS": options.threads or len(os.sched_getaffinity(0)),
        "PERFORMANCE_HINT": options.hint.upper(),
        "PERFORMANCE_HINT_NUM_REQUESTS": options.max_batch if options.hint == "throughput" else 1,
        # Several processes would bind their threads to the same cores, and decoding wants some.
        "ENABLE_CPU_PINNING": False,
    }
    if options.cache is not None:
        found["CACHE_DIR"] = str(options.cache)
    return found


def _require_half(path: Path) -> None:
    if "FP16" not in core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES"):
        raise EngineLoadError(
            f"model {path.name}: this CPU does not compute in fp16; leave precision out"
        )


def _compiled(path: Path, properties: dict[str, Any], size: tuple[int, int] | None) -> Any:
    content = path.read_bytes()
    if _QUANTIZED in content or size is not None:
        content = _rewritten(content, path, size)
    # The reader for ONNX alone: asked for any format, the others print their errors.
    frontend = FrontEndManager().load_by_framework("onnx")
    try:
        model = frontend.convert(frontend.load(BytesIO(content)))
        return core().compile_model(model, _DEVICE, properties)
    except Exception as error:
        raise EngineLoadError(f"model {path}: OpenVINO cannot run it: {_short(error)}") from error


def _rewritten(content: bytes, path: Path, size: tuple[int, int] | None) -> bytes:
    try:
        import onnx

        from detectors.engines.nonnegative import nonnegative
        from detectors.engines.rewrite.sized import sized
    except ImportError as error:
        raise EngineLoadError(
            f"model {path}: rewriting its graph needs the package onnx: pip install onnx"
        ) from error
    try:
        model = onnx.load_from_string(content)
        if size is not None:
            model = sized(model, size)
        return bytes(nonnegative(model).SerializeToString())
    except Exception as error:
        raise damaged_graph(path, error) from error


def _executed(compiled: Any) -> Precision:
    """What the convolutions run in, by the compiled graph itself: int8 if any does, for a hybrid
    file leaves some in float; else what most do."""
    counts: Counter[Precision] = Counter()
    for node in compiled.get_runtime_model().get_ops():
        said = node.get_rt_info()
        if said["layerType"].astype(str) in _CONVOLUTIONS:
            kind = str(said["runtimePrecision"].astype(str))
            counts[_EXECUTED.get(kind, "fp32")] += 1
    if counts["int8"]:
        return "int8"
    return counts.most_common(1)[0][0] if counts else "fp32"


def _spec(port: Any) -> TensorSpec:
    shape = tuple(None if side.is_dynamic else side.get_length() for side in port.partial_shape)
    dtype = port.element_type.get_type_name()
    return TensorSpec(port.any_name, _DTYPES.get(dtype, dtype), shape)


def _short(error: Exception) -> str:
    """Its own words, without the lines that say where in its source it was found."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return one_line(" ".join(told or lines))[:_LONGEST_ERROR]
