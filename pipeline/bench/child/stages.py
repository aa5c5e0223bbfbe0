"""CPU time by stage: which part of the pipeline a call stack belongs to."""

from collections import Counter
from collections.abc import Mapping

from pipeline.bench.child.sampler import Stack

NATIVE_DECODER = "[av:"
"""How FFmpeg names its threads: `av:h264:df0`."""

_STAGES = (
    ("/detectors/yolo_nas/postprocess", "suppress"),
    ("/detectors/yolo_nas/voting", "suppress"),
    ("/detectors/letterbox", "prepare"),
    ("/detectors/yolo_nas/prep", "prepare"),
    ("/detectors/yolo_nas/processing", "prepare"),
    ("/pipeline/core/picture", "prepare"),
    ("/stages/sources/planes", "prepare"),
    ("/detectors/engines/", "engine"),
    ("/stages/sources/", "decode"),
    ("/stages/health/", "health"),
    ("/stages/tracking/", "track"),
    ("/stages/zones/", "zones"),
    ("/pipeline/compose", "messages"),
    ("/pipeline/tell", "messages"),
    ("/pipeline/core/", "messages"),
    ("/sinks/", "sinks"),
    ("/pipeline/outlet", "sinks"),
)
"""Parts of file names, and what they are a part of. The innermost frame that has a row decides."""
OTHER, NATIVE = "queues and threads", "native threads"


def by_stage(spent_ns: Mapping[Stack, int]) -> dict[str, float]:
    """CPU time in ms of every stage, the largest first. Threads without Python that no decoder has
    named are `native threads`: those of the engine, and of OpenCV."""
    found: Counter[str] = Counter()
    for stack, spent in spent_ns.items():
        found[_stage(stack)] += spent
    return {stage: spent / 1e6 for stage, spent in found.most_common()}


def _stage(stack: Stack) -> str:
    if len(stack) == 1 and stack[0][0].startswith("["):
        return "decode" if stack[0][0].startswith(NATIVE_DECODER) else NATIVE
    for _, file, _ in reversed(stack):
        for part, stage in _STAGES:
            if part in file:
                return stage
    return OTHER
