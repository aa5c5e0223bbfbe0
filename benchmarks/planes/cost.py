"""CPU time of 1080p H.264 frames: decoding alone, and what the pipeline adds to it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import av

from detectors.base import Detector, Grid, Precision, TensorSpec
from detectors.letterbox import Letterbox
from detectors.scripted import ScriptedDetector
from detectors.yolo_nas.preparation import Preparation
from detectors.yolo_nas.processing import Processing
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from pipeline.core.picture import AnyPicture, RgbPicture, as_picture

SIDE_PX: Final = 416
PROCESSING: Final = Processing(("person",), Letterbox(SIDE_PX, SIDE_PX))
INTEGERS: Final = TensorSpec("images", "uint8", (None, SIDE_PX, SIDE_PX, 3), Grid(1 / 127, 128))
FLOATS: Final = TensorSpec("images", "float32", (None, 3, SIDE_PX, SIDE_PX))


class Preparing:
    """A detector that prepares its batches as the default model's does, and finds nothing."""

    name = "preparing"
    sha256 = "0" * 64
    precision: Precision = "int8"
    engine_name = "none"
    device = "none"
    concurrency = 1
    labels = PROCESSING.class_names
    letterbox = PROCESSING.letterbox

    def __init__(self, spec: TensorSpec, *, as_rgb: bool = False) -> None:
        self._preparation, self._as_rgb = Preparation(PROCESSING, spec), as_rgb

    def detect(self, pictures: Sequence[AnyPicture], /) -> list[Detections]:
        """See `detectors.base.Detector.detect`."""
        if self._as_rgb:
            pictures = [RgbPicture(as_picture(picture).rgb()) for picture in pictures]
        self._preparation.batch(pictures)
        return [Detections.empty() for _ in pictures]

    def close(self) -> None:
        """See `detectors.base.Detector.close`."""


def decode_alone(clip: Path, threads: int) -> int:
    """PyAV in a plain loop; how many frames."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = ("AUTO" if threads > 1 else "SLICE"), threads
        return sum(1 for _ in container.decode(stream))


def pipeline(clip: Path, threads: int, out: Path, detector: Detector) -> int:
    """The whole pipeline up to messages in a file; how many frames."""
    source = {"kind": "file", "path": str(clip), "decoder_threads": threads}
    config = parse_config(
        {
            "streams": [{"id": "one", "source": source}],
            "sinks": [{"kind": "jsonl", "path": str(out / "out.jsonl")}],
        }
    )

    async def run() -> int:
        async with Pipeline(config, detector=detector) as running:
            report = await running.wait()
        return sum(stream.published for stream in report.streams)

    frames = asyncio.run(run())
    (out / "out.jsonl").unlink()
    return frames


def loops(clip: Path, threads: int, out: Path) -> dict[str, Callable[[], int]]:
    """What is measured, by name."""
    nothing = ScriptedDetector(("person",), lambda _: Detections.empty())
    integers, floats = Preparing(INTEGERS), Preparing(FLOATS)
    as_rgb = Preparing(FLOATS, as_rgb=True)
    return {
        "decode": lambda: decode_alone(clip, threads),
        "pipeline, pictures not looked at": lambda: pipeline(clip, threads, out, nothing),
        "pipeline, batches of integers": lambda: pipeline(clip, threads, out, integers),
        "pipeline, batches of floats": lambda: pipeline(clip, threads, out, floats),
        "pipeline, through full RGB": lambda: pipeline(clip, threads, out, as_rgb),
    }


def measure(clip: Path, threads: int, out: Path, rounds: int) -> dict[str, Any]:
    """CPU ms a frame of each loop, and above decoding in the same round: median, least, most."""
    timed = loops(clip, threads, out)
    for loop in timed.values():  # the first time, modules are loaded and memory is touched
        loop()
    spent: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, loop in timed.items():
            began_s = time.process_time()
            frames = loop()
            spent[name].append(1000 * (time.process_time() - began_s) / frames)
    alone = spent["decode"]
    return {
        name: {
            "cpu_ms": _spread(values),
            "above_decode_ms": _spread([a - b for a, b in zip(values, alone, strict=True)]),
        }
        for name, values in spent.items()
    }


def _spread(values: Sequence[float]) -> list[float]:
    """Median, least and most."""
    return [round(value, 3) for value in (statistics.median(values), min(values), max(values))]
