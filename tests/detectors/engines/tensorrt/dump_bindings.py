"""Prints which names the installed TensorRT bindings have, as JSON: one version's part of
`contract.json`, from which `fake_tensorrt` is made and against which the engine is held.

    python dump_bindings.py

Importing the bindings needs the libraries, or empty ones that define the ten C functions that the
bindings link; no GPU is touched.
"""

import json
import sys
from typing import Any

CLASSES = (
    "Builder",
    "EngineInspector",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProgressMonitor",
    "ITimingCache",
    "OnnxParser",
    "ParserError",
    "Runtime",
)
ENUMS = (
    "BuilderFlag",
    "DataType",
    "ExecutionContextAllocationStrategy",
    "LayerInformationFormat",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "ProfilingVerbosity",
    "TensorIOMode",
)


def public(found: Any) -> list[str]:
    """The names of a class that do not begin with an underscore."""
    return sorted(name for name in dir(found) if not name.startswith("_"))


def severities(trt: Any) -> dict[str, int]:
    """The members of the severity of a log line, which is an enum within a class."""
    members = trt.ILogger.Severity.__members__
    return {name: int(value) for name, value in members.items()}


def dump(trt: Any) -> dict[str, Any]:
    """Version, the names of each class, and the members of each enum with their values."""
    enums = {
        name: {key: int(value) for key, value in getattr(trt, name).__members__.items()}
        for name in ENUMS
    }
    return {
        "version": trt.__version__,
        "classes": {name: public(getattr(trt, name)) for name in CLASSES},
        "enums": enums | {"ILogger.Severity": severities(trt)},
    }


if __name__ == "__main__":
    import tensorrt

    sys.stdout.write(json.dumps(dump(tensorrt)))
