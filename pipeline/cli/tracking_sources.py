"""Where the tracks come from that `eyrie evaluate-tracking` judges."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError
from pipeline.core.log import get_logger
from pipeline.core.messages import FrameMessage, decode
from pipeline.core.tracks import Tracks
from stages.track_evaluation.follow import follow
from stages.track_evaluation.mot_files import MotTable
from stages.tracking import Tracker

log = get_logger(__name__)

CLASS_OF_LABEL = {"person": 1, "car": 3, "motorcycle": 5}
"""Numbers of MOT Challenge for labels of detectors; others have none and are left out."""


def parsed(overrides: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE of the tracker -> its parameters, values as in YAML. Raises `ConfigError`."""
    params = {}
    for text in overrides:
        key, equals, value = text.removeprefix("tracking.").partition("=")
        if not equals or not key:
            raise ConfigError("--set", f"{text!r} is no KEY=VALUE, such as high_score=0.6")
        try:
            params[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError("--set", f"{text!r}: the value is not understood") from None
    return params


def tracks_of_detections(
    found: MotTable, frames: int, fps: float, params: Mapping[str, Any]
) -> list[Tracks]:
    """Our tracker over detections of a file. Raises `ConfigError` for wrong parameters."""
    try:
        tracker = Tracker(**params)
    except (TypeError, ValueError) as error:
        raise ConfigError("--set", str(error).replace("TrackerParams.__init__() ", "")) from None
    if len(found) and not (found.conf.min() >= 0 and found.conf.max() <= 1):
        log.warning("confidences outside 0..1: the tracker is given ranks instead")
    return follow(tracker, found, frames, fps)


def tracks_of_video(
    video: Path, model: str, params: Mapping[str, Any], fps: float | None
) -> dict[int, Tracks]:
    """The real pipeline over a video, at most `fps` frames a second: tracks by frame, from 0 on;
    frames that were not analysed are absent. Raises `EyrieError`."""
    with tempfile.TemporaryDirectory(prefix="eyrie-evaluate-") as folder:
        told = Path(folder) / "told.jsonl"
        source = {"kind": "file", "path": str(video)}
        tree = {
            "streams": [{"id": "video", "source": source, "fps": fps}],
            "sinks": [{"kind": "jsonl", "path": str(told)}],
            "model": {"name": model},
            "tracking": dict(params),
        }
        asyncio.run(_finish(Pipeline(parse_config(tree)), video))
        with told.open("rb") as lines:
            messages = [m for m in map(decode, lines) if isinstance(m, FrameMessage)]
    return {message.seq: _tracks(message) for message in messages}


async def _finish(pipeline: Pipeline, video: Path) -> None:
    async with pipeline:
        report = await pipeline.wait()
    if report.errors:
        raise ConfigError("--video", f"{video}: {report.errors[0]}")


def _tracks(message: FrameMessage) -> Tracks:
    """Detections that have an identity and a class of MOT Challenge."""
    some = [
        (index, found)
        for index, found in enumerate(message.detections)
        if found.track_id is not None and found.label in CLASS_OF_LABEL
    ]
    return Tracks(
        xyxy=np.array([found.box for _, found in some], np.float32).reshape(-1, 4),
        score=np.array([found.score for _, found in some], np.float32),
        class_id=np.array([CLASS_OF_LABEL[found.label] for _, found in some], np.int32),
        track_id=np.array([found.track_id for _, found in some], np.int64),
        detection_index=np.array([index for index, _ in some], np.int64),
        ended=np.empty(0, np.int64),
    )
