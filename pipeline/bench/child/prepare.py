"""Pictures of a source at the network's size: decoding and pre-processing, without a pipeline."""

from collections.abc import Callable
from typing import Any

from pipeline.bench.child.decode import decoder_threads
from pipeline.bench.child.detectors import NoModel
from pipeline.bench.job import Job
from stages.sources.file import FileSource


def load(job: Job) -> tuple[Callable[[Callable[[], None]], dict[str, Any]], dict[str, Any]]:
    """A round reads one clip after the other."""
    follows = job.settings.get("model.input_shape", "follow") == "follow"
    detector = NoModel(job, follows=follows)

    def work(begin: Callable[[], None]) -> dict[str, Any]:
        begin()
        return {"frames": sum(_prepared(clip, job, detector) for clip in job.clips)}

    return work, {}


def _prepared(clip: str, job: Job, detector: NoModel) -> int:
    count = 0
    source = FileSource("prepare", clip, decoder_threads=decoder_threads(job))
    for frame in source.frames():
        detector.detect([frame.picture])
        count += 1
        if count == job.frames:
            break
    return count
