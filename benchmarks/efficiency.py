"""How near the pipeline comes to what its cores could do at best.

    python -m benchmarks.efficiency [--streams 1 4 16] [--rounds 2] [--frames 300]
        [--engine onnxruntime] [--street] [--clip FILE] [--set batch.size=2 ...] [--json FILE]

The bound: cores / (CPU time of decoding + of pre-processing + of the engine, a frame), each part by
itself in one thread with nothing else on the machine, the engine with the batch size that is
cheapest. Nothing that decodes, prepares and detects every frame is faster; a tracker, messages and
whatever else is between the parts are not in it, nor that cores which all work slow each other
down. That is in the *loops*: a thread for each core, each with a clip, a decoder and a detector of
its own, frame after frame, and nothing behind them.

The clip is a pattern that is hard to decode and in which the network sees much, or a drawn street.

The parts are measured before and behind each run, and the bound of a run is the mean of both, for
machines are not equally fast all the time. Loops and runs take turns in every round. A run counts
from when every stream has told some frames until the first has told nearly all: what files cost to
open and to end is in none of the parts. Told are the median, the least and the most of all rounds.
`cpu_ms` is what the process spent for a frame in all, `idle` the share of the cores that it did not
use, and `taken` the share that other processes and the machine's host had meanwhile; beside others
who want the cores, the latter is also time that the run left idle.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from benchmarks.machine import describe
from benchmarks.moment import CORES, Moment, when
from benchmarks.throughput import make_clip, make_street
from detectors.base import Detector
from detectors.engines.open import open_engine
from detectors.yolo_nas.detector import YoloNasDetector, resolve
from pipeline import Pipeline
from pipeline.build.detector import engine_options, make_detector
from pipeline.config import PipelineConfig
from pipeline.config.file import parse_config, read_keys
from pipeline.core.arrays import AnyArray
from pipeline.core.picture import Picture
from stages.sources.planes import picture_of

PART_FRAMES, LOOP_FRAMES = 64, 128
LEAST_FRAMES = 40  # of a stream
FIRST_FRAMES, LAST_SHARE = 4, 0.9  # of a stream: a run counts between
KEPT = 8
BATCHES = (1, 2)
LEAST_SCORE, NOTHING_SCORE = 0.1, 0.99
WARM = 2


@dataclass(slots=True)
class Times:
    """Of the last run of an engine, in CPU time."""

    called_s: float = 0.0
    returned_s: float = 0.0


class Recorder:
    """An engine that notes when it was called, and when it returned."""

    def __init__(self, inner: Any, times: Times) -> None:
        self._inner, self._times = inner, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        self._times.called_s = time.process_time()
        outputs: tuple[AnyArray, ...] = self._inner.run(*tensors)
        self._times.returned_s = time.process_time()
        return outputs


def one_thread(config: PipelineConfig, least_score: float, times: Times) -> YoloNasDetector:
    """The detector of a configuration on an engine that computes in one thread, recorded."""
    options = replace(engine_options(config), threads=1, hint="latency")
    path = resolve(config.model.name)

    def recorded(size: tuple[int, int] | None = None) -> Any:
        return Recorder(open_engine(path, replace(options, size=size)), times)

    engine = recorded()
    follows = config.model.input_shape == "follow" and engine.can_be_sized
    return YoloNasDetector(
        engine, path, score_threshold=least_score, open_sized=recorded if follows else None
    )


class Parts:
    """What is in the bound, part by part, and loops of them."""

    def __init__(self, clip: Path, config: PipelineConfig) -> None:
        self._clip, self._times = clip, Times()
        self._detector = one_thread(config, LEAST_SCORE, self._times)
        self._loops = [one_thread(config, NOTHING_SCORE, Times()) for _ in range(CORES)]
        _, self.pictures = self._decode()
        for detector in self._loops:
            detector.detect(self.pictures[:1])

    def measure(self) -> dict[str, float]:
        """CPU ms a frame of every part, the smallest of all batch sizes, and the bound."""
        decode_ms, pictures = self._decode()
        by_batch = np.array([self._detect(pictures, batch) for batch in BATCHES])
        told = dict(zip(("prepare", "engine", "finish"), by_batch.min(axis=0), strict=True))
        bound_fps = 1000 * CORES / (decode_ms + told["prepare"] + told["engine"])
        return {"decode": decode_ms, **told, "bound_fps": bound_fps}

    def loops(self, frames: int) -> dict[str, float]:
        """A thread for each core, each with decoder and detector of its own, all together."""
        with ThreadPoolExecutor(CORES) as pool:
            began = Moment.now(0)
            done = pool.map(lambda detector: self._loop(detector, frames), self._loops)
            return began.until(Moment.now(sum(done)))

    def _loop(self, detector: Detector, frames: int) -> int:
        with av.open(str(self._clip)) as container:
            for count, frame in enumerate(container.decode(_video(container)), 1):
                detector.detect([picture_of(frame)])
                if count == frames:
                    return count
        raise RuntimeError(f"{self._clip} has fewer than {frames} frames")

    def _decode(self) -> tuple[float, list[Picture]]:
        pictures: list[Picture] = []
        with av.open(str(self._clip)) as container:
            start_s = time.process_time()
            for count, frame in enumerate(container.decode(_video(container)), 1):
                if count > PART_FRAMES - KEPT:
                    pictures.append(picture_of(frame))
                if count == PART_FRAMES:
                    break
            return 1000 * (time.process_time() - start_s) / PART_FRAMES, pictures

    def _detect(self, pictures: Sequence[Picture], batch: int) -> list[float]:
        spent, turns = [0.0, 0.0, 0.0], PART_FRAMES // batch
        for turn in range(-WARM, turns):
            chosen = [pictures[(turn * batch + n) % len(pictures)] for n in range(batch)]
            start_s = time.process_time()
            self._detector.detect(chosen)
            engine = self._times
            times = (start_s, engine.called_s, engine.returned_s, time.process_time())
            if turn >= 0:
                spent = [s + b - a for s, a, b in zip(spent, times, times[1:], strict=False)]
        return [1000 * seconds / (turns * batch) for seconds in spent]


def _video(container: InputContainer) -> VideoStream:
    stream = container.streams.video[0]
    stream.thread_type, stream.thread_count = "SLICE", 1
    return stream


def configuration(
    clip: Path, streams: int, frames: int, out: Path, overrides: Sequence[str] = (), **more: Any
) -> PipelineConfig:
    """So many streams of the clip, together `frames` or more, to files; `more` keys of a source."""
    source = {"kind": "file", "path": str(clip), **more}
    each = {"source": source, "max_frames": max(LEAST_FRAMES, frames // streams)}
    return parse_config(
        {
            "streams": [{"id": f"s{n}", **each} for n in range(streams)],
            "parallel_files": streams,
            "sinks": [{"kind": "jsonl", "path": str(out / "{stream_id}.jsonl")}],
            **read_keys(None, overrides),
        }
    )


async def run(config: PipelineConfig, detector: Detector) -> dict[str, float]:
    """See `Moment.until`, from when all streams run until the first is nearly over."""
    last = LAST_SHARE * min(stream.max_frames or 0 for stream in config.streams)
    async with Pipeline(config, detector=detector) as pipeline:
        began = await when(pipeline, lambda told: min(told) >= FIRST_FRAMES)
        ended = await when(pipeline, lambda told: max(told) >= last)
        report = await pipeline.wait()
    if report.errors:
        raise RuntimeError(report.errors[0])
    return began.until(ended)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    told = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {key: round(value, 3) for key, value in told.items()}


def spreads(rounds: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """By figure."""
    return {key: spread([told[key] for told in rounds]) for key in rounds[0]}


class Rounds:
    """Everything in turn, round after round."""

    def __init__(self, clip: Path, arguments: argparse.Namespace, out: Path) -> None:
        overrides = [f"model.engine={arguments.engine}", *arguments.set]
        self._configs = {
            streams: configuration(clip, streams, arguments.frames, out, overrides)
            for streams in arguments.streams
        }
        first = next(iter(self._configs.values()))
        self._parts = Parts(clip, first)
        self._detector = make_detector(first.model, LEAST_SCORE, engine_options(first))
        self._detector.warm_up(first.batch.size)
        self._detector.detect(self._parts.pictures[:1])
        self.parts: list[dict[str, float]] = []
        self.loops: list[dict[str, float]] = []
        self.runs: dict[int, list[dict[str, float]]] = {n: [] for n in self._configs}

    def turn(self) -> None:
        """One round."""
        loops = self._beside_parts(lambda: self._parts.loops(LOOP_FRAMES))
        self.loops.append(loops)
        for streams, config in self._configs.items():
            told = self._beside_parts(partial(self._run, config))
            self.runs[streams].append({**told, "of_loops": told["fps"] / loops["fps"]})

    def _run(self, config: PipelineConfig) -> dict[str, float]:
        return asyncio.run(run(config, self._detector))

    def _beside_parts(self, work: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What some work tells, held against the parts before and behind it."""
        before, told, behind = self._parts.measure(), work(), self._parts.measure()
        self.parts += [before, behind]
        bound_fps = (before["bound_fps"] + behind["bound_fps"]) / 2
        return {**told, "of_bound": told["fps"] / bound_fps}

    def result(self) -> dict[str, Any]:
        """Of all rounds so far."""
        return {
            "parts": spreads(self.parts),
            "loops": spreads(self.loops),
            "streams": {str(streams): spreads(runs) for streams, runs in self.runs.items()},
        }


def show(result: dict[str, Any]) -> None:
    for name, value in result["parts"].items():
        print(f"{name}: {value['median']} ({value['least']} to {value['most']})")
    runs = {f"{streams} streams": told for streams, told in result["streams"].items()}
    for name, told in {"loops": result["loops"], **runs}.items():
        figures = ", ".join(
            f"{key} {value['median']} ({value['least']} to {value['most']})"
            for key, value in told.items()
        )
        print(f"{name}: {figures}")


def main() -> None:
    parser = argparse.ArgumentParser(description="How near the pipeline comes to its bound.")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--frames", type=int, default=300, help="of a run; 40 a stream at least")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--street", action="store_true", help="a drawn street, not a pattern")
    parser.add_argument("--clip", type=Path, help="instead of one that is made: H.264 is meant")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make = make_street if arguments.street else make_clip
        clip = arguments.clip or make(Path(folder) / "clip.mp4", arguments.frames)
        rounds = Rounds(clip, arguments, Path(folder))
        for _ in range(arguments.rounds):
            rounds.turn()
    result = rounds.result()
    show(result)
    if arguments.json:
        told = {
            "machine": describe(), "engine": arguments.engine, "set": arguments.set,
            "clip": arguments.clip.name if arguments.clip else make.__name__,
            "frames": arguments.frames, "rounds": arguments.rounds, **result,
        }  # fmt: skip
        arguments.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
