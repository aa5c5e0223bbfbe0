"""From an ONNX file to a plan: parse into a strongly typed network, build, check every answer."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detectors.base import Precision
from detectors.engines.tensorrt.messages import (
    BuildWatcher,
    Complaints,
    make_logger,
    make_monitor,
)
from detectors.engines.tensorrt.plan import Typing
from pipeline.core.errors import EngineLoadError
from pipeline.core.log import get_logger

log = get_logger(__name__)
MIB = 2**20
FLAGS_OF: dict[Precision, tuple[str, ...]] = {"int8": ("INT8", "FP16"), "fp16": ("FP16",)}

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How an engine is built. Raises ValueError for numbers out of range.

    - `max_batch`: the largest batch that it will take; `best_batch` the one it is tuned for.
    - `workspace_mib`: memory that kernels may use beside the tensors.
    - `level`: TensorRT's optimization level, 0 to 5: how much time the build may take.
    """

    precision: Precision
    max_batch: int
    best_batch: int
    workspace_mib: int = 1024
    level: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.best_batch <= self.max_batch:
            raise ValueError(
                f"the best batch must be from 1 to {self.max_batch}, got {self.best_batch}"
            )
        if self.workspace_mib < 1 or not 0 <= self.level <= 5:
            raise ValueError(
                f"workspace {self.workspace_mib} MiB must be 1 or more, level {self.level} 0 to 5"
            )


@dataclass(frozen=True, slots=True)
class Source:
    """An ONNX file, rewritten for the precision wanted, and as it was for a build by flags."""

    where: str
    typed: bytes
    """For a strongly typed network: each operator in the type that it shall run in."""
    untyped: bytes
    """float32 around its Q/DQ pairs."""
    inputs: Mapping[str, Shape]
    """Shapes of the inputs; None is the batch."""


@dataclass(frozen=True, slots=True)
class Built:
    """A serialized engine, how it was typed, and the kernels' timings to use the next time."""

    engine: bytes
    typing: Typing
    timings: bytes


class Builder:
    """Builds engines with one TensorRT. `watcher` is told of the progress."""

    def __init__(self, trt: Any, watcher: BuildWatcher | None = None) -> None:
        self._trt = trt
        self._complaints = Complaints()
        self._logger = make_logger(trt, self._complaints)
        self._stopped = threading.Event()
        self._monitor = make_monitor(trt, watcher, self._stopped) if watcher else None

    def build(self, source: Source, options: BuildOptions, timings: bytes) -> Built:
        """Blocks for minutes. `timings` of an earlier build, or empty.

        A strongly typed build that fails is tried by the builder's flags where TensorRT still has
        them (10.x), and the log says so. Raises `EngineLoadError` with what TensorRT said, or
        that the watcher stopped it.
        """
        try:
            return self._build(source, options, timings, "strong")
        except EngineLoadError as error:
            if self._stopped.is_set():
                raise EngineLoadError(f"model {source.where}: the build was stopped") from error
            if not self._flags(options.precision):
                raise
            log.warning("%s; trying the builder's flags instead of strong typing", error)
            return self._build(source, options, timings, "flags")

    def _build(
        self, source: Source, options: BuildOptions, timings: bytes, typing: Typing
    ) -> Built:
        trt, where = self._trt, source.where
        builder = self._made(trt.Builder(self._logger), where, "no builder")
        network = self._network(builder, source, typing)
        config = self._config(builder, where, options)
        if typing == "flags":
            for flag in self._flags(options.precision):
                config.set_flag(flag)
        self._add_profile(builder, config, source, options)
        cache = self._timing_cache(config, timings)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            why = self._complaints.why("it does not say why")
            raise EngineLoadError(f"model {where}: TensorRT {trt.__version__} cannot build: {why}")
        return Built(bytes(engine), typing, bytes(cache.serialize()))

    def _network(self, builder: Any, source: Source, typing: Typing) -> Any:
        """The parsed network; the parser holds its weights, so they are kept together."""
        trt = self._trt
        flags = 0
        if typing == "strong":  # its value differs between versions: always by name
            flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = self._made(builder.create_network(flags), source.where, "no network")
        parser = self._made(trt.OnnxParser(network, self._logger), source.where, "no parser")
        if not parser.parse(source.typed if typing == "strong" else source.untyped):
            errors = [parser.get_error(n) for n in range(parser.num_errors)]
            said = "; ".join(f"{e.node_name() or 'graph'}: {e.desc()}" for e in errors)
            self._complaints.why("")
            raise EngineLoadError(
                f"model {source.where}: TensorRT {trt.__version__} cannot read it: "
                f"{said or 'its parser does not say why'}"
            )
        self._parser = parser
        return network

    def _config(self, builder: Any, where: str, options: BuildOptions) -> Any:
        trt = self._trt
        config = self._made(builder.create_builder_config(), where, "no configuration")
        workspace_bytes = options.workspace_mib * MIB
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        config.builder_optimization_level = options.level
        if options.precision == "fp32":  # on by default, and 10 bits of mantissa are not FP32
            config.clear_flag(trt.BuilderFlag.TF32)
        if self._monitor is not None:
            config.progress_monitor = self._monitor
        return config

    def _add_profile(
        self, builder: Any, config: Any, source: Source, options: BuildOptions
    ) -> None:
        made = builder.create_optimization_profile()
        profile = self._made(made, source.where, "no optimization profile")
        batches = (1, options.best_batch, options.max_batch)
        for name, shape in source.inputs.items():
            shapes = [tuple(n if side is None else side for side in shape) for n in batches]
            profile.set_shape(name, *shapes)
        if config.add_optimization_profile(profile) < 0:
            why = self._complaints.why("it does not say why")
            raise EngineLoadError(
                f"model {source.where}: TensorRT takes no batches of 1 to {options.max_batch} of "
                f"inputs {dict(source.inputs)}: {why}"
            )

    def _timing_cache(self, config: Any, timings: bytes) -> Any:
        """The cache in use: of `timings` where TensorRT takes them, else an empty one."""
        for content in (timings, b"") if timings else (b"",):
            cache = config.create_timing_cache(content)
            if cache is not None and config.set_timing_cache(cache, False):
                return cache
            log.warning("TensorRT refuses the timing cache; starting an empty one")
        raise EngineLoadError("engine tensorrt: TensorRT takes not even an empty timing cache")

    def _flags(self, precision: Precision) -> list[Any]:
        """The builder's flags for a precision, by name; empty where TensorRT has them no more."""
        members = self._trt.BuilderFlag.__members__
        names = FLAGS_OF.get(precision, ())
        return [members[name] for name in names] if set(names) <= set(members) else []

    def _made(self, made: Any, where: str, what: str) -> Any:
        if made is None:
            why = self._complaints.why("it does not say why")
            raise EngineLoadError(f"model {where}: TensorRT gives {what}: {why}")
        return made
