"""Lookers, which tell trackers of the pixels, out of `camera_motion` and `appearance`."""

from typing import TYPE_CHECKING

from pipeline.config import AppearanceConfig, PipelineConfig, StreamConfig
from pipeline.core.errors import ConfigError, EyrieError
from stages.base import Looker

if TYPE_CHECKING:
    from contextlib import ExitStack

    from stages.appearance import Embedder

_MODEL = "tracking.appearance.model"


def open_embedder(config: PipelineConfig, stack: "ExitStack") -> "Embedder | None":
    """Load the model of appearance of all streams, which `stack` closes; None if none is asked for.
    Raises `ConfigError` for one that cannot be loaded or does not fit."""
    given = config.tracking.appearance
    if given is None or not config.tracking.enabled:
        return None
    try:
        return _embedder(given, stack)
    except EyrieError as error:
        raise ConfigError(_MODEL, str(error)) from error


def make_looker(
    stream: StreamConfig, config: PipelineConfig, embedder: "Embedder | None"
) -> Looker | None:
    """Make the looker of one stream, which looks at its pixels for its tracker; None: none is
    needed."""
    method = config.camera_motion_of(stream)
    if method == "off" and embedder is None:
        return None
    from stages.camera_motion import CameraMotion
    from stages.look import PixelLooker

    camera = None if method == "off" else CameraMotion(method)
    given = config.tracking.appearance
    if given is None:
        return PixelLooker(camera)
    return PixelLooker(camera, embedder, least_score=given.least_score, most=given.most)


def _embedder(given: AppearanceConfig, stack: "ExitStack") -> "Embedder":
    from detectors.engines.onnxruntime import OnnxRuntimeEngine
    from stages.appearance import CropInput, Embedder

    engine = OnnxRuntimeEngine(given.model, given.threads)
    stack.callback(engine.close)
    crops = CropInput(given.mean, given.std, given.scale, given.order, given.size)
    return Embedder(engine, crops)
