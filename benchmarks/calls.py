"""Calls of functions for one more frame, and bytes held: what a busy machine does not change.

    python -m benchmarks.calls

Clips of small pictures go through the pipeline with its defaults, a detector that has the answer,
and a sink in memory. Counted are calls of Python's and of C's functions in all threads, by
`sys.setprofile`: only how threads meet moves them, by a few in a hundred. What starts and ends is
left out, by taking those of a short run from those of one twice as long.
`tests/test_performance_guard.py` holds the bars.
"""

import asyncio
import sys
import tempfile
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import numpy as np

from benchmarks.throughput import make_clip
from detectors.letterbox import Letterbox
from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from sinks.memory import MemorySink
from tests.services import numbered

FRAMES: Final = 60
SIZE_PX: Final = (160, 96)
NETWORK_PX: Final = 416


class Calls:
    """Counts calls in this thread and in those that begin while it counts."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._threads: list[Counter[str]] = []

    @property
    def total(self) -> int:
        """So far."""
        return sum(counts.total() for counts in self._threads)

    def of(self, name: str) -> int:
        """Those of Python's functions with this name, so far."""
        return sum(counts[name] for counts in self._threads)

    @contextmanager
    def counting(self) -> Iterator["Calls"]:
        """Meanwhile."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield self
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, _what: Any) -> None:
        if event not in ("call", "c_call"):
            return
        mine = getattr(self._own, "counts", None)
        if mine is None:
            mine = self._own.counts = Counter()
            self._threads.append(mine)
        mine[frame.f_code.co_name if event == "call" else ""] += 1


def detector(objects: int) -> ScriptedDetector:
    """Sees so many things at rest in every picture, each in a place of its own."""
    left = np.arange(objects, dtype=np.float32) * 12
    boxes = np.stack([left, left, left + 10, left + 10], axis=1)
    found = Detections(boxes, np.full(objects, 0.9, np.float32), np.zeros(objects, np.int32))
    return ScriptedDetector(
        ("thing",), lambda _: found, letterbox=Letterbox(NETWORK_PX, NETWORK_PX)
    )


def run(clip: Path, streams: int, objects: int) -> int:
    """The pipeline over files: frames that it published. Raises `RuntimeError` if one fails."""
    return asyncio.run(_run(clip, streams, objects))


async def _run(clip: Path, streams: int, objects: int) -> int:
    files = [
        {"id": f"s{n}", "source": {"kind": "file", "path": str(clip), "decoder_threads": 1}}
        for n in range(streams)
    ]
    config = parse_config({"streams": files})
    async with Pipeline(config, detector=detector(objects), sinks=[MemorySink()]) as pipeline:
        report = await pipeline.wait()
    if report.errors:
        raise RuntimeError(report.errors[0])
    return sum(stream.published for stream in report.streams)


def calls_per_frame(folder: Path, streams: int, objects: int, frames: int = FRAMES) -> float:
    """For one more frame, from its packet to its message. Clips are kept in `folder`."""
    clips = [clip_of(folder, length) for length in (frames, 2 * frames)]
    run(clips[0], 1, objects)  # what is imported at the first time counts for none
    totals = []
    for clip in clips:
        with Calls().counting() as calls:
            published = run(clip, streams, objects)
        totals.append((calls.total, published))
    return (totals[1][0] - totals[0][0]) / (totals[1][1] - totals[0][1])


def clip_of(folder: Path, frames: int) -> Path:
    """Made at the first time."""
    clip = folder / f"{frames}.mp4"
    return clip if clip.exists() else numbered.make(clip, frames, size=SIZE_PX)


def held_bytes(clip: Path) -> int:
    """The most that arrays and objects of Python hold at once, beyond what was there before. A
    decoder's own memory is not among it."""
    run(clip, 1, 0)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        run(clip, 1, 0)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for streams, objects in ((1, 0), (1, 10), (4, 0), (32, 0)):
            frames = FRAMES if streams == 1 else FRAMES // 3
            found = [calls_per_frame(folder, streams, objects, frames) for _ in range(3)]
            shown = ", ".join(f"{calls:.0f}" for calls in found)
            print(f"{streams} streams, {objects} objects: {shown} calls for a frame")
        held = held_bytes(make_clip(folder / "clip.mp4", 12))
        print(f"one stream of 1080p: Python holds {held / 1e6:.2f} MB at most")


if __name__ == "__main__":
    main()
