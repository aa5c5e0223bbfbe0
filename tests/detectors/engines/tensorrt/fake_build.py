"""The fake's building half: loggers, networks, the parser, configurations, the builder."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tests.detectors.engines.tensorrt.contracted import START, Contracted

LATEST_OPSET = 21


class ILogger(Contracted):
    Severity: Any

    def __init__(self) -> None:
        pass

    def _complain(self, line: str) -> None:
        self.log(self.Severity.ERROR, line)


class IProgressMonitor(Contracted):
    def __init__(self) -> None:
        pass


class IHostMemory(Contracted):
    def __init__(self, content: bytes) -> None:
        self._content = content

    def __bytes__(self) -> bytes:
        return self._content


class Builder(Contracted):
    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def create_network(self, flags: int = 0) -> Any:
        self._world.networks.append(flags)
        return self._trt.INetworkDefinition(flags)

    def create_builder_config(self) -> Any:
        return self._trt.IBuilderConfig()

    def create_optimization_profile(self) -> Any:
        return self._trt.IOptimizationProfile()

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        strong = self._trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        typed = bool(network._flags & 1 << int(strong))
        self._world.builds += 1
        if self._fails("build") or (self._fails("strong") and typed):
            self._logger._complain("no implementation of a layer")
            return None
        if not config._told(typed):
            return None
        content = {
            "version": self._version,
            "onnx": base64.b64encode(network._model).decode(),
            "shapes": config._profiles[0]._shapes,
            "verbosity": config.profiling_verbosity.name,
        }
        return self._trt.IHostMemory(START + json.dumps(content).encode())


class INetworkDefinition(Contracted):
    def __init__(self, flags: int) -> None:
        self._flags = flags
        self._model = b""


class IBuilderConfig(Contracted):
    def __init__(self) -> None:
        self._profiles: list[Any] = []
        self._cache: Any = None
        self.progress_monitor: Any = None
        self.profiling_verbosity: Any = None
        self.builder_optimization_level = 3

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        assert pool is self._trt.MemoryPoolType.WORKSPACE
        assert pool_size > 0

    def set_flag(self, flag: Any) -> None:
        self._world.flags.append(flag.name)

    def clear_flag(self, flag: Any) -> None:
        self._world.flags.append(f"-{flag.name}")

    def add_optimization_profile(self, profile: Any) -> int:
        if self._fails("profile") or not profile._shapes:
            return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        if serialized_timing_cache not in (b"", f"timings {self._version}".encode()):
            return None
        return self._trt.ITimingCache()

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self._cache = cache
        return not self._fails("timings") and not ignore_mismatch

    def get_timing_cache(self) -> Any:
        return self._cache

    def _told(self, typed: bool) -> bool:
        """Whether the watcher lets the build go on; flags and strong typing exclude each other."""
        assert not (typed and {"INT8", "FP16"} & set(self._world.flags))
        monitor = self.progress_monitor
        if monitor is None:
            return True
        monitor.phase_start("Building", None, 2)
        monitor.phase_start("Timing", "Building", 1)
        going = bool(monitor.step_complete("Timing", 0))
        monitor.phase_finish("Timing")
        monitor.phase_finish("Building")
        return going


class IOptimizationProfile(Contracted):
    def __init__(self) -> None:
        self._shapes: dict[str, list[list[int]]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002
        if not all(a <= b <= c for a, b, c in zip(min, opt, max, strict=True)):
            raise ValueError("min, opt and max are not in order")
        self._shapes[input] = [list(min), list(opt), list(max)]


class ITimingCache(Contracted):
    def serialize(self) -> Any:
        return self._trt.IHostMemory(f"timings {self._version}".encode())


class ParserError(Contracted):
    def __init__(self, node: str, text: str) -> None:
        self._node, self._text = node, text

    def desc(self) -> str:
        return self._text

    def node_name(self) -> str:
        return self._node


class OnnxParser(Contracted):
    def __init__(self, network: Any, logger: Any) -> None:
        self._network = network
        self._errors: list[Any] = []

    def parse(self, model: bytes) -> bool:
        found = onnx.load_from_string(model)
        constants = {t.name: numpy_helper.to_array(t) for t in found.graph.initializer}
        for node in found.graph.node:
            if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
                self._check(node, constants)
        if found.opset_import[0].version > LATEST_OPSET:
            self._errors.append(self._trt.ParserError("", "opset is too new"))
        if self._fails("parse"):
            self._errors.append(self._trt.ParserError("/a/Conv", "In node 0: UNSUPPORTED_NODE"))
        self._network._model = model
        return not self._errors

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]

    def _check(self, node: onnx.NodeProto, constants: dict[str, Any]) -> None:
        values = constants.get(node.input[0])
        zero, scale = constants[node.input[2]], constants[node.input[1]]
        right = zero.dtype == np.int8 and not zero.any() and bool((scale > 0).all())
        right = right and zero.size == scale.size
        if not right or (values is not None and values.dtype == np.int32):
            self._errors.append(self._trt.ParserError(node.name, "only symmetric int8"))
