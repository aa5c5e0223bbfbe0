"""Where the time of a run goes, operator by operator, as the runtime itself tells it."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from detectors.engines.onnxruntime import open_session
from pipeline.core.arrays import F32

Kind = Literal["int8 convolution", "other int8", "quantize", "float convolution", "other float"]
KINDS: tuple[Kind, ...] = (
    "int8 convolution", "other int8", "quantize", "float convolution", "other float",
)  # fmt: skip

_INTEGERS = {"uint8", "int8", "u8", "i8"}
_INTEGER_PRODUCTS = ("QLinearConv", "QGemm", "MatMulIntegerToFloat", "ConvInteger")
_BETWEEN = ("QuantizeLinear", "DequantizeLinear", "FakeQuantize")
_CONVOLUTIONS = ("Conv", "FusedConv", "ConvTranspose", "Gemm", "Convolution", "Deconvolution")
_ADDED = re.compile(r"(_token_\d+|_nchwc|_kernel_time|/WithoutBiases)+$")
"""What runtimes append to the names of a file's nodes."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of a compiled graph. `layers` are the nodes of the file that it computes, as far
    as the runtime says; `us` the median over the runs."""

    operator: str
    layers: tuple[str, ...]
    kind: Kind
    us: float


def computed_in_int8(steps: Collection[Step], planned: Collection[str]) -> list[str]:
    """Choose those of the convolutions `planned` that ran on integers, in their order."""
    ran = {layer for step in steps if step.kind == "int8 convolution" for layer in step.layers}
    return [name for name in planned if name in ran]


def onnxruntime_steps(path: Path, images: F32, *, threads: int, runs: int) -> list[Step]:
    """Run `images` `runs` times as `OnnxRuntimeEngine` does. Raises `EngineLoadError`."""
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(path, threads, profile=str(Path(folder) / "run"))
        source = session.get_inputs()[0].name
        for _ in range(runs):
            session.run(None, {source: images})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    taken: dict[str, list[float]] = defaultdict(list)
    about: dict[str, Any] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            taken[event["name"]].append(event["dur"])
            about[event["name"]] = event["args"]
    return [
        Step(
            args["op_name"], (_ADDED.sub("", name),), _kind_of(args), float(np.median(taken[name]))
        )
        for name, args in about.items()
    ]


def _kind_of(args: dict[str, Any]) -> Kind:
    """The kind of a node of ONNX Runtime, by its operator and the type of its first output."""
    made = [kind for entry in args["output_type_shape"][:1] for kind in entry]
    return _kind(args["op_name"], any(kind in _INTEGERS for kind in made))


def _kind(operator: str, on_integers: bool) -> Kind:
    if operator in _INTEGER_PRODUCTS or (operator in _CONVOLUTIONS and on_integers):
        return "int8 convolution"
    if operator in _BETWEEN:
        return "quantize"
    if operator in _CONVOLUTIONS:
        return "float convolution"
    return "other int8" if on_integers else "other float"


def openvino_steps(path: Path, images: F32, *, threads: int, runs: int) -> list[Step]:
    """Run `images` `runs` times as `OpenVinoEngine` does, with one request."""
    import onnx

    from detectors.engines.nonnegative import nonnegative
    from detectors.engines.openvino_core import core

    settings = {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32", "PERF_COUNT": True,
    }  # fmt: skip
    content = nonnegative(onnx.load(path)).SerializeToString()
    compiled = core().compile_model(core().read_model(content), "CPU", settings)
    request = compiled.create_infer_request()
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(runs):
        request.infer({0: images})
        for entry in request.get_profiling_info():
            taken[entry.node_name].append(entry.real_time.total_seconds() * 1e6)
    return [
        _openvino_step(node.get_friendly_name(), node.get_rt_info(), taken)
        for node in compiled.get_runtime_model().get_ops()
        if taken.get(node.get_friendly_name())
    ]


def _openvino_step(name: str, said: Any, taken: dict[str, list[float]]) -> Step:
    def text(key: str) -> str:
        return str(said[key].astype(str)) if key in said else ""

    operator = text("layerType")
    layers = tuple(_ADDED.sub("", layer) for layer in text("originalLayersNames").split(","))
    on_integers = text("runtimePrecision") in _INTEGERS
    return Step(operator, layers, _kind(operator, on_integers), float(np.median(taken[name])))
