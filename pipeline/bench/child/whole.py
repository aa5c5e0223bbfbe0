"""The whole pipeline, from clips to a file of messages."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from detectors.base import Detector
from pipeline import Pipeline
from pipeline.bench.child.detectors import NoModel
from pipeline.bench.child.live import run_live
from pipeline.bench.job import Job
from pipeline.build.detector import make_run_detector
from pipeline.config import PipelineConfig
from pipeline.config.file import load_config
from pipeline.core.errors import EyrieError
from pipeline.memory import share_one_heap


class Incomplete(EyrieError):
    """A run has not published every frame, so that its speed is not comparable."""


def load(job: Job) -> tuple[Callable[[Callable[[], None]], dict[str, Any]], dict[str, Any]]:
    """A round is a run of a new pipeline; it begins when everything is open, as streams start. The
    detector is opened once, with the network for pictures of this size: that is start-up."""
    share_one_heap()
    folder = tempfile.mkdtemp(prefix="eyrie-bench-")
    config = configure(job, Path(folder))
    detector = open_detector(config, job)

    def work(begin: Callable[[], None]) -> dict[str, Any]:
        if job.live:
            return run_live(config, detector, begin)
        return asyncio.run(_run(config, detector, begin, job))

    return work, {}


def open_detector(config: PipelineConfig, job: Job) -> Detector:
    """What `Pipeline` would open by itself, after its first picture; without a model, `NoModel`."""
    if job.model is None:
        return NoModel(job, follows=config.model.input_shape == "follow")
    detector = make_run_detector(config)
    detector.warm_up(config.batch.size)
    detector.detect([np.zeros((job.picture_height, job.picture_width, 3), np.uint8)])
    return detector


def configure(job: Job, folder: Path) -> PipelineConfig:
    """The configuration of a job: streams that end, one file of messages for each in `folder`, and
    defaults for all that `settings` do not say."""
    tree: dict[str, Any] = {
        "streams": [_stream(f"s{number}", clip, job) for number, clip in enumerate(job.clips)],
        "sinks": [{"kind": "jsonl", "path": str(folder / "{stream_id}.jsonl")}],
        "parallel_files": len(job.clips),
        "batch": {"size": job.batch},
        "model": {
            "threads": job.threads,
            "score_threshold": job.score,
            "iou_threshold": job.iou,
        },
    }
    if job.model is not None:
        tree["model"]["name"] = job.model
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return load_config(path, [f"{key}={value}" for key, value in job.settings.items()])


def _stream(stream_id: str, clip: str, job: Job) -> dict[str, Any]:
    if job.live:
        camera = {"kind": "http", "url": clip, "live": True, "reconnect": "never"}
        return {"id": stream_id, "source": camera}
    source = {"kind": "file", "path": clip}
    return {"id": stream_id, "source": source, "max_frames": job.frames}


async def _run(
    config: PipelineConfig, detector: Detector, begin: Callable[[], None], job: Job
) -> dict[str, Any]:
    async with Pipeline(config, detector=detector) as pipeline:
        begin()
        report = await pipeline.wait()
    frames = sum(stream.published for stream in report.streams)
    if report.errors or frames != job.frames_total:
        why = report.errors[0] if report.errors else f"{frames} of {job.frames_total} frames"
        raise Incomplete(why)
    found = sum(sum(stream.detections.values()) for stream in report.streams)
    return {"frames": frames, "detections": found}
