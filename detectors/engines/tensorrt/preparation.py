"""From a model file to a plan for this machine: read it, find it in the cache, or build it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from detectors.base import Precision
from detectors.engines.model_header import LATEST_OPSET, ModelHeader
from detectors.engines.options import EngineOptions, wrong_precision
from detectors.engines.tensorrt.builder import Builder, BuildOptions, Shape, Source
from detectors.engines.tensorrt.messages import BuildWatcher
from detectors.engines.tensorrt.plan import Plan, PlanCache, PlanError, PlanKey, is_plan, read
from detectors.engines.tensorrt.platform import Platform
from detectors.engines.tensorrt.runtime import Loader
from pipeline.core.errors import EngineLoadError
from pipeline.core.log import get_logger

if TYPE_CHECKING:
    from detectors.quantize.graph import Graph

log = get_logger(__name__)
ENGINE_NAME = "tensorrt-cuda"


def plan_for(path: Path, options: EngineOptions, platform: Platform) -> Plan:
    """The plan of a plan file, or of an ONNX file: from the cache, or built, which takes minutes.

    Raises `EngineLoadError`; `PlanError` for a plan file that is not for this machine.
    """
    try:
        given_plan = is_plan(path)
    except OSError as error:
        raise EngineLoadError(f"model {path}: {error.strerror or error}") from error
    if given_plan:
        return _read_plan(path, options, platform)
    best = options.max_batch if options.hint == "throughput" else 1
    precision = choose_precision(path, options.precision)
    build = BuildOptions(precision=precision, max_batch=options.max_batch, best_batch=best)
    cache = PlanCache(options.cache)
    found = cache.find(plan_key(path, build, platform), path.stem)
    return found or build_plan(path, build, platform, cache)


def build_plan(
    path: Path,
    options: BuildOptions,
    platform: Platform,
    cache: PlanCache,
    watcher: BuildWatcher | None = None,
) -> Plan:
    """Build the plan of an ONNX file and keep it in the cache. Blocks for minutes.

    Raises `EngineLoadError`, with what TensorRT said.
    """
    from detectors.engines.planned import planned_layers

    key = plan_key(path, options, platform)
    graph = _load(path)
    source = _source(graph, path.name, options.precision)
    built = Builder(platform.trt, watcher).build(source, options, cache.timings(key))
    cache.keep_timings(key, built.timings)
    planned = [layer.name for layer in planned_layers(graph) if layer.precision == "int8"]
    plan = Plan(
        key=key,
        engine=built.engine,
        typing=built.typing,
        inputs=tuple(source.inputs),
        outputs=tuple(value.name for value in graph.model.graph.output),
        planned_int8=tuple(planned),
        metadata={entry.key: entry.value for entry in graph.model.metadata_props},
        gpu=platform.gpu.name,
        information=Loader(platform.trt, path.name).information(built.engine),
    )
    kept = cache.keep(plan, path.stem)
    log.info("built %s for %s (%s typing): %s", path.name, plan.gpu, plan.typing, kept)
    return plan


def plan_key(path: Path, options: BuildOptions, platform: Platform) -> PlanKey:
    """What a plan of this file must fit. Raises OSError."""
    return PlanKey(
        tensorrt=platform.version,
        architecture=platform.gpu.architecture,
        onnx_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        precision=options.precision,
        max_batch=options.max_batch,
        best_batch=options.best_batch,
        workspace_mib=options.workspace_mib,
        level=options.level,
    )


def choose_precision(path: Path, asked: Precision | None) -> Precision:
    """What to build a file in: an INT8 file in nothing else, an FP32 file in fp32 or fp16.

    Raises `EngineLoadError` when that is not what was asked for, the file is no ONNX file, or its
    opset is newer than TensorRT reads.
    """
    header = ModelHeader.read(path)
    if header.opset > LATEST_OPSET:
        raise EngineLoadError(
            f"model {path.name}: is of opset {header.opset}, and TensorRT reads up to "
            f"{LATEST_OPSET}; export it again with an older one"
        )
    own = header.precision
    wanted = asked or own
    if wanted != own and (own, wanted) != ("fp32", "fp16"):
        raise wrong_precision(path, own, wanted, ENGINE_NAME)
    return wanted


def _read_plan(path: Path, options: EngineOptions, platform: Platform) -> Plan:
    try:
        plan = read(path)
    except OSError as error:
        raise EngineLoadError(f"plan {path}: {error.strerror or error}") from error
    key = plan.key
    if (key.tensorrt, key.architecture) != (platform.version, platform.gpu.architecture):
        raise PlanError(
            f"plan {path}: is for TensorRT {key.tensorrt} on {key.architecture}, and this is "
            f"TensorRT {platform.version} on {platform.gpu.architecture}: build it here from its "
            "ONNX file with eyrie model build"
        )
    if options.precision not in (None, key.precision):
        raise wrong_precision(path, key.precision, options.precision or "fp32", ENGINE_NAME)
    if options.max_batch > key.max_batch:
        raise PlanError(
            f"plan {path}: takes batches of up to {key.max_batch}, not the {options.max_batch} of "
            "max_batch: build it with --max-batch, or lower max_batch"
        )
    return plan


def _load(path: Path) -> Graph:
    try:
        from detectors.quantize.graph import Graph
    except ImportError as error:
        raise EngineLoadError(
            f"model {path.name}: building needs onnx: pip install 'eyrie[gpu]'"
        ) from error
    return Graph.load(path)


def _source(graph: Graph, where: str, precision: Precision) -> Source:
    from detectors.engines.half import to_half, with_float_biases
    from detectors.engines.planned import check_symmetric

    check_symmetric(graph, where)
    untyped = with_float_biases(graph).model
    typed = untyped if precision == "fp32" else to_half(graph, where)
    return Source(where, typed.SerializeToString(), untyped.SerializeToString(), _inputs(graph))


def _inputs(graph: Graph) -> dict[str, Shape]:
    shapes = {}
    for value in graph.model.graph.input:
        sides = value.type.tensor_type.shape.dim
        shapes[value.name] = tuple(
            side.dim_value if side.HasField("dim_value") else None for side in sides
        )
    return shapes
