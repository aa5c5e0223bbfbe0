"""How long a frame holds Python's lock, the GIL, in the whole pipeline.

    python -m benchmarks.gil [--rounds 3] [--json FILE]

All CPU time of the process, less what is spent in the calls that give the lock away: demuxing,
decoding, pre-processing (OpenCV), the engine, each in one thread. Nothing else is taken off, though
NumPy's larger operations, files and waiting give it away too: so a frame holds the lock for at most
`held_ms`. What a file costs to open and to end is left out. One 1080p H.264 file to JSON lines,
with the default model, and with a detector that finds so many standing people in every picture
instead.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.machine import describe
from benchmarks.moment import when
from benchmarks.throughput import make_clip
from detectors.base import Detector
from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.scripted import ScriptedDetector
from detectors.yolo_nas.preparation import Preparation
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from stages.sources.decode import Decoding

FRAMES = 600
FIRST_FRAMES, LAST_SHARE = 20, 0.95  # of the clip: what is between is measured
CROWDS = (0, 1, 10, 50)


class Native:
    """CPU seconds in calls that give the lock away, of all threads."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._guard = threading.Lock()

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, counted."""

        def counted(*arguments: Any, **named: Any) -> Any:
            start_s = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                self.add(time.thread_time() - start_s)

        return counted

    def timed_steps(self, call: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """The same generator, counted while it makes its next item."""

        def counted(*arguments: Any) -> Iterator[Any]:
            items = call(*arguments)
            while True:
                start_s = time.thread_time()
                item = next(items, None)
                self.add(time.thread_time() - start_s)
                if item is None:
                    return
                yield item

        return counted

    def add(self, seconds: float) -> None:
        with self._guard:
            self.spent_s += seconds


@contextmanager
def counting() -> Iterator[Native]:
    """Counts the native calls of all pipelines meanwhile."""
    native = Native()
    timed: list[tuple[Any, str, Callable[[Any], Any]]] = [
        (Decoding, "_packets", native.timed_steps),
        (Decoding, "_decode", native.timed),
        (Preparation, "batch", native.timed),
        (OnnxRuntimeEngine, "run", native.timed),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in timed]
    for owner, name, wrap in timed:
        setattr(owner, name, wrap(getattr(owner, name)))
    try:
        yield native
    finally:
        for owner, name, call in before:
            setattr(owner, name, call)


def crowd(count: int) -> Detections:
    """So many people beside each other."""
    left = np.arange(count, dtype=np.float32) * np.float32(36)
    xyxy = np.stack([left, np.full_like(left, 300), left + 30, np.full_like(left, 400)], axis=1)
    return Detections(xyxy, np.full(count, 0.9, np.float32), np.zeros(count, np.int32))


def finder(found: Detections) -> Detector:
    """Finds the same in every picture."""
    return ScriptedDetector(("person",), lambda _: found)


async def held_ms(clip: Path, out: Path, detector: Detector | None) -> float:
    """For each frame."""
    with av.open(str(clip)) as container:
        last = LAST_SHARE * container.streams.video[0].frames
    source = {"kind": "file", "path": str(clip), "decoder_threads": 1}
    config = {
        "streams": [{"id": "s", "source": source}],
        "sinks": [{"kind": "jsonl", "path": str(out / "{stream_id}.jsonl")}],
        "model": {"engine": "onnxruntime", "hint": "throughput"},
        "workers": 0,
    }
    with counting() as native:
        async with Pipeline(parse_config(config), detector=detector) as pipeline:
            began = await when(pipeline, lambda told: min(told) >= FIRST_FRAMES)
            native.spent_s = 0.0
            ended = await when(pipeline, lambda told: min(told) >= last)
            held_s = ended.cpu_s - began.cpu_s - native.spent_s
            report = await pipeline.wait()
    if report.errors:
        raise RuntimeError(report.errors[0])
    return 1000 * held_s / (ended.frames - began.frames)


def measure(clip: Path, out: Path, rounds: int) -> dict[str, dict[str, float]]:
    """By case, ms a frame: median, least and most of all rounds; the cases take turns."""
    cases: dict[str, Detector | None] = {"default model": None}
    for count in CROWDS:
        cases[f"no model, {count} people"] = finder(crowd(count))
    told: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, detector in cases.items():
            told[name].append(asyncio.run(held_ms(clip, out, detector)))
    return {
        name: {
            "held_ms": round(statistics.median(values), 3),
            "least_ms": round(min(values), 3),
            "most_ms": round(max(values), 3),
        }
        for name, values in told.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a frame's hold on the GIL.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clip", type=Path, help="instead of one that is made")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = arguments.clip or make_clip(Path(folder) / "clip.mp4", FRAMES)
        found = measure(clip, Path(folder), arguments.rounds)
    for name, figures in found.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
    if arguments.json:
        result: dict[str, Any] = {"machine": describe(), "gil": found}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
