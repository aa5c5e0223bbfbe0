"""A fake of TensorRT's Python interface, of any of the versions in `contract.json`.

Its classes have the names that the real bindings of that version have and no others: reading or
setting anything else is an AttributeError. What it builds it runs with ONNX Runtime, on memory that
is only an address to it, as to the real one. It refuses what the real one does not define.
"""

from __future__ import annotations

import enum
from types import ModuleType
from typing import Any

from tests.detectors.engines.tensorrt.contracted import CONTRACT, Contracted, World, names_of
from tests.detectors.engines.tensorrt.fake_build import (
    Builder,
    IBuilderConfig,
    IHostMemory,
    ILogger,
    INetworkDefinition,
    IOptimizationProfile,
    IProgressMonitor,
    ITimingCache,
    OnnxParser,
    ParserError,
)
from tests.detectors.engines.tensorrt.fake_run import (
    EngineInspector,
    ICudaEngine,
    IExecutionContext,
    Runtime,
)

KINDS: tuple[type[Contracted], ...] = (
    Builder,
    EngineInspector,
    IBuilderConfig,
    ICudaEngine,
    IExecutionContext,
    IHostMemory,
    ILogger,
    INetworkDefinition,
    IOptimizationProfile,
    IProgressMonitor,
    ITimingCache,
    OnnxParser,
    ParserError,
    Runtime,
)


def make(version: str, world: World | None = None) -> Any:
    """The module `tensorrt` of that version."""
    trt: Any = ModuleType("tensorrt")
    trt.__version__ = version
    for name, by_version in CONTRACT["enums"].items():
        made = enum.IntEnum(name.rpartition(".")[2], by_version[version])  # type: ignore[misc]
        if "." not in name:
            setattr(trt, name, made)
    severity = enum.IntEnum("Severity", CONTRACT["enums"]["ILogger.Severity"][version])  # type: ignore[misc]
    for kind in KINDS:
        allowed = names_of(kind.__name__, version)
        own = {"_allowed": allowed, "_version": version, "_world": world or World(), "_trt": trt}
        if kind is ILogger:
            own["Severity"] = severity
        setattr(trt, kind.__name__, type(kind.__name__, (kind,), own))
    return trt
