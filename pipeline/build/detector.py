"""A proved detector on an engine out of the section `model`."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from detectors.base import Engine
from detectors.engines.open import EngineOptions, open_engine
from detectors.yolo_nas.detector import YoloNasDetector, resolve
from detectors.yolo_nas.gpu.detector import YoloNasCudaDetector, takes_tensors
from pipeline.config import ModelConfig, PipelineConfig
from pipeline.core.errors import EngineLoadError
from stages.privacy import LEAST_SCORE


def engine_options(config: PipelineConfig) -> EngineOptions:
    """The options of the engine that the configuration asks for.

    The default hint is `throughput` when batches of several frames can be expected: not for a lone
    live stream, whose frames come one at a time.
    """
    model, streams = config.model, config.streams
    alone = len(streams) == 1 and streams[0].live
    several = config.batch.size > 1 and not alone
    return EngineOptions(
        engine=model.engine,
        precision=model.precision,
        threads=model.threads,
        max_batch=model.max_batch or config.batch.size,
        hint=model.hint or ("throughput" if several else "latency"),
        cache=model.cache,
        integer_input=True,
    )


def run_detector_maker(
    config: PipelineConfig, options: EngineOptions | None = None
) -> Callable[[], YoloNasDetector]:
    """A function that loads the detector of a run, which finds what messages, the tracker or
    privacy need. It can be pickled. `options`: by default those of `engine_options`."""
    waits = not any(stream.live for stream in config.streams)
    options = options or engine_options(config)
    return partial(make_detector, config.model, least_score_of(config), options, waits=waits)


def warmed(make: Callable[[], YoloNasDetector], batch_size: int) -> YoloNasDetector:
    """Load a detector and run it once, for the shape that most cameras have. Raises
    `EngineLoadError`."""
    detector = make()
    try:
        detector.warm_up(batch_size)
    except BaseException:
        detector.close()
        raise
    return detector


def make_run_detector(
    config: PipelineConfig, options: EngineOptions | None = None
) -> YoloNasDetector:
    """Load the detector of a run, see `run_detector_maker`. Raises `EngineLoadError`."""
    return run_detector_maker(config, options)()


def least_score_of(config: PipelineConfig) -> float:
    model, tracking = config.model, config.tracking
    least = min(model.score_threshold, tracking.low_score if tracking.enabled else 1.0)
    hides = any(config.privacy_of(stream) != "off" for stream in config.streams)
    return min(least, LEAST_SCORE) if hides or config.privacy != "off" else least


def make_detector(
    config: ModelConfig, least_score: float, options: EngineOptions, *, waits: bool = True
) -> YoloNasDetector:
    """Load the model and have it proved; it finds what scores `least_score` or more. `options` are
    those of `engine_options`; `waits`: files are detected, which have time and are to give the same
    at every run. Raises `EngineLoadError`."""
    path = resolve(config.name, options.precision)
    if path.suffix == ".pth":
        why = "is a checkpoint: make an ONNX file of it with eyrie model export"
        raise EngineLoadError(f"model {config.name!r} {why}")
    engine = open_engine(path, options)
    try:
        return _detector_on(engine, path, config, least_score, options, waits)
    except BaseException:
        engine.close()
        raise


def _detector_on(
    engine: Engine,
    path: Path,
    config: ModelConfig,
    least_score: float,
    options: EngineOptions,
    waits: bool,
) -> YoloNasDetector:
    how: dict[str, Any] = {
        "score_threshold": least_score,
        "iou_threshold": config.iou_threshold,
        "classes": config.classes,
    }
    if takes_tensors(engine):
        return YoloNasCudaDetector(engine, path, **how)
    if config.input_shape == "follow" and engine.can_be_sized:

        def open_sized(size: tuple[int, int]) -> Engine:
            return open_engine(path, replace(options, size=size))

        return YoloNasDetector(engine, path, **how, open_sized=open_sized, waits=waits)
    return YoloNasDetector(engine, path, **how)
