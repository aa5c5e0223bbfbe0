"""ONNX Runtime on the CPU."""

import os
import platform
import re
from pathlib import Path
from typing import Any

import onnxruntime as ort

from detectors.base import Grid, Precision, TensorSpec
from detectors.engines.apart import rewritten_apart
from detectors.engines.device import cpu_name
from detectors.engines.model_header import GRID_KEY, PRECISION_KEY
from detectors.engines.options import Hint, damaged_graph, not_as_said
from pipeline.core.arrays import AnyArray
from pipeline.core.errors import EngineLoadError, EngineRunError

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_PROVIDER = "CPUExecutionProvider"
_QUANTIZED = b"QuantizeLinear"
_PLACE = re.compile(r"/onnxruntime_src/\S+\.(?:cc|h):\d+ .*?\)(?: const)? (?=[A-Z])")


class OnnxRuntimeEngine:
    """One ONNX file in an ONNX Runtime session on the CPU.

    `threads`: how many compute; 0 takes all cores this process may use. `hint: latency` has them
    compute one batch together. `throughput` has each compute a batch of its own: `run` is then
    called by as many threads at once, and nobody waits for others between two operators.

    Threads of one batch sleep between two operators, so that decoding gets the cores. With `spin`
    they wait awake until the run is over: operators in 8 bits are so short that this saves a third
    of the time, but only on cores that nothing else wants; where decoding does, both get slower.

    A quantized file is rewritten in memory first, see `detectors.engines.rewrite`; with
    `integer_input` so that it takes integers, where it can. With `size`, pictures are of that
    height and width, whatever the file's are.

    Raises `EngineLoadError` when the file is missing, damaged, or asks for more than this runtime.
    """

    name = "onnxruntime-cpu"
    batch_limit: int | None = None
    can_be_sized = True

    def __init__(
        self,
        path: Path,
        threads: int = 0,
        *,
        hint: Hint = "latency",
        spin: bool = False,
        integer_input: bool = False,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._path = path
        self.device = cpu_name()
        threads = threads or len(os.sched_getaffinity(0))
        together, self.concurrency = (threads, 1) if hint == "latency" else (1, threads)
        self._session: Any = open_session(
            path, together, spin=spin, integer_input=integer_input, size=size
        )
        self.outputs = tuple(_spec(node) for node in self._session.get_outputs())
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        grid = _grid(self.metadata.pop(GRID_KEY, None)) if integer_input else None
        self.inputs = tuple(_spec(node, grid) for node in self._session.get_inputs())
        self.precision: Precision = "int8" if _QUANTIZED in path.read_bytes() else "fp32"
        said = self.metadata.get(PRECISION_KEY, self.precision)
        if said != self.precision:
            raise not_as_said(path, self.precision, said, self.name)
        self._output_names = [spec.name for spec in self.outputs]

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        """See `detectors.base.Engine.run`."""
        if self._session is None:
            raise EngineRunError(f"{self._path.name}: the engine is closed")
        if len(tensors) != len(self.inputs):
            raise EngineRunError(
                f"{self._path.name}: takes {len(self.inputs)} tensors, got {len(tensors)}"
            )
        feed = {spec.name: tensor for spec, tensor in zip(self.inputs, tensors, strict=True)}
        try:
            return tuple(self._session.run(self._output_names, feed))
        except Exception as error:
            raise EngineRunError(f"{self._path.name} on {self.name}: {_one_line(error)}") from error

    def close(self) -> None:
        """See `detectors.base.Engine.close`."""
        self._session = None


def open_session(
    path: Path,
    threads: int,
    *,
    spin: bool = False,
    profile: str | None = None,
    integer_input: bool = False,
    size: tuple[int, int] | None = None,
) -> Any:
    """An `onnxruntime.InferenceSession`; with `profile`, one that writes its timings to files whose
    names begin so. Raises `EngineLoadError`."""
    if not path.is_file():
        raise EngineLoadError(f"model {path}: there is no such file")
    content = path.read_bytes()
    if _QUANTIZED in content or size is not None:
        content = _rewritten(content, path, integer_input, size)
    try:
        options = _options(threads, spin, profile)
        session = ort.InferenceSession(content, options, providers=[_PROVIDER])
    except Exception as error:
        raise EngineLoadError(
            f"model {path}: not an ONNX file for ONNX Runtime: {_one_line(error)}"
        ) from error
    if session.get_providers() != [_PROVIDER]:
        raise EngineLoadError(f"model {path}: loaded on {session.get_providers()}, not the CPU")
    return session


def _options(threads: int, spin: bool, profile: str | None) -> Any:
    options = ort.SessionOptions()
    options.enable_profiling = profile is not None
    options.profile_file_prefix = profile or ""
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # would hold a block beside the arena for each batch size
    options.log_severity_level = 4  # its errors arrive as exceptions; printing them too is noise
    options.add_session_config_entry("session.intra_op.allow_spinning", "01"[spin])
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if _sums_overflow():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _sums_overflow() -> bool:
    """Whether the fast integer kernels of this CPU add pairs of products in 16 bits, as those of
    x86 without VNNI do. The slower ones that are exact are taken there."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True
    return "vnni" not in flags


def _rewritten(
    content: bytes, path: Path, integer_input: bool, size: tuple[int, int] | None
) -> bytes:
    made = rewritten_apart(content, integer_input=integer_input, size=size)
    if made is not None:
        return made
    try:
        from detectors.engines.rewrite import rewritten
    except ImportError as error:
        raise EngineLoadError(
            f"model {path}: rewriting its graph needs the package onnx: pip install onnx"
        ) from error
    try:
        return rewritten(content, takes_integers=integer_input, size=size)
    except Exception as error:
        raise damaged_graph(path, error) from error


def _spec(node: Any, grid: Grid | None = None) -> TensorSpec:
    shape = tuple(side if isinstance(side, int) else None for side in node.shape)
    dtype = _DTYPES.get(node.type, node.type)
    return TensorSpec(node.name, dtype, shape, grid if dtype == "uint8" else None)


def _grid(said: str | None) -> Grid | None:
    """From what the rewriting left in the metadata."""
    if said is None:
        return None
    scale, zero_point = said.split()
    return Grid(float(scale), int(zero_point))


def _one_line(error: Exception) -> str:
    """Its own words, without the place in the runtime's source where it was found."""
    return _PLACE.sub("", " ".join(str(error).split()))[:300]
