"""From a model file and wishes to an engine. A runtime is imported only when it is chosen."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from detectors.base import Engine
from detectors.engines.device import why_no_cuda
from detectors.engines.model_header import LATEST_OPSET, ModelHeader
from detectors.engines.options import EngineChoice, EngineOptions, Hint, wrong_precision
from pipeline.core.errors import EngineLoadError
from pipeline.core.log import get_logger

__all__ = ["Choice", "EngineChoice", "EngineOptions", "Hint", "choose", "open_engine"]

log = get_logger(__name__)

PLAN_SUFFIX = ".plan"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which runtime `auto` takes here, and why, in words for the user."""

    engine: EngineChoice
    why: str


def choose(hint: Hint) -> Choice:
    """What `engine: auto` is on this machine.

    TensorRT where it is installed and a CUDA GPU answers. Else, on the CPU, OpenVINO where it is
    installed and the hint is throughput; else ONNX Runtime, which always is there.
    `python -m benchmarks.engines` measures why. Asks the driver, loads no runtime.
    """
    missing = _why_no_tensorrt()
    if missing is None:
        return Choice("tensorrt", "a CUDA GPU answers and tensorrt is installed")
    if hint == "latency":
        return Choice("onnxruntime", f"on a CPU it is not slower for single pictures; {missing}")
    if _installed("openvino"):
        return Choice("openvino", f"on a CPU it is the fastest for batches; {missing}")
    return Choice("onnxruntime", f"openvino is not installed; {missing}")


def open_engine(path: Path, options: EngineOptions) -> Engine:
    """Open a model file on the runtime that `options` ask for; blocks while it compiles.

    Raises `EngineLoadError` when that runtime is not installed or has no device here, when it
    cannot run the precision asked for, or when the file is missing, damaged, or asks for more
    than the runtime knows. Nothing is replaced by something else without a word.
    """
    if not path.is_file():
        raise EngineLoadError(f"model {path}: there is no such file")
    name = options.engine
    if path.suffix == PLAN_SUFFIX:
        name = _engine_of_plan(path, name)
    else:
        _check_opset(path)
    if name == "auto":
        choice = choose(options.hint)
        name = choice.engine
        log.info("model %s: engine %s, because %s", path.name, name, choice.why)
    match name:
        case "tensorrt":
            return _open_tensorrt(path, options)
        case "openvino":
            return _open_openvino(path, options)
        case _:
            return _open_onnxruntime(path, options)


def _engine_of_plan(path: Path, asked: EngineChoice) -> EngineChoice:
    if asked not in ("auto", "tensorrt"):
        raise EngineLoadError(
            f"model {path.name}: a plan of TensorRT, which engine {asked} cannot run; give the "
            "ONNX file, or choose engine: tensorrt"
        )
    return "tensorrt"


def _check_opset(path: Path) -> None:
    opset = ModelHeader.read(path).opset
    if opset > LATEST_OPSET:
        raise EngineLoadError(
            f"model {path.name}: it uses ONNX opset {opset}, and engines here read up to "
            f"{LATEST_OPSET}: make it anew with eyrie model export"
        )


def _open_tensorrt(path: Path, options: EngineOptions) -> Engine:
    missing = _why_no_tensorrt()
    if missing is not None:
        raise EngineLoadError(
            f"model {path.name}: engine tensorrt cannot be used: {missing}; "
            "choose engine: openvino or onnxruntime, or auto"
        )
    from detectors.engines.tensorrt import TensorRtEngine

    return TensorRtEngine(path, options)


def _open_openvino(path: Path, options: EngineOptions) -> Engine:
    if not _installed("openvino"):
        raise EngineLoadError(
            f"model {path.name}: engine openvino is not installed: pip install 'eyrie[openvino]'"
        )
    from detectors.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(path, options)


def _open_onnxruntime(path: Path, options: EngineOptions) -> Engine:
    from detectors.engines.onnxruntime import OnnxRuntimeEngine

    engine = OnnxRuntimeEngine(
        path,
        options.threads,
        hint=options.hint,
        integer_input=options.integer_input,
        size=options.size,
    )
    if options.precision is not None and options.precision != engine.precision:
        engine.close()
        raise wrong_precision(path, engine.precision, options.precision, engine.name)
    return engine


def _why_no_tensorrt() -> str | None:
    missing = why_no_cuda()
    if missing is None and not _installed("tensorrt"):
        missing = "tensorrt is not installed (pip install 'eyrie[gpu]')"
    return missing


def _installed(package: str) -> bool:
    """Whether an import would find the package; it is not imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
