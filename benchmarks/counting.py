"""Crossings counted on twenty synthetic streets, against the truth.

    python -m benchmarks.counting [--scenes 20] [--seconds 40] [--json FILE]          (true boxes)
    python -m benchmarks.counting --model yolo_nas_n_int8 [--density 1]               (a detector)

With true boxes nothing is drawn: the boxes of all objects go through the tracker and the line
counter as the pipeline sets them up, and in each direction as many must be counted as truly cross.
Left out, on both sides, are objects of which the truth itself cannot tell: see `undecided`. With a
model each scene is drawn, encoded, decoded, detected, tracked and counted by the real pipeline.
"""

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.counting_truth import undecided
from benchmarks.machine import describe
from pipeline import Pipeline
from pipeline.build.streams import make_tracker
from pipeline.config import TrackingConfig
from pipeline.config.file import parse_config
from pipeline.core.geometry import Line
from stages.sources.street import StreetScene, Truth, crossings
from stages.sources.street.encode import write_video
from stages.sources.street.mood import Light
from stages.sources.street.truth import PictureLine
from stages.sources.street.views import VIEWS, View
from stages.zones import LineCounter

FPS = 12.5
FIRST_SEED = 910_000
LIGHTS: tuple[Light, ...] = ("day", "day", "dusk", "night")


@dataclass(frozen=True, slots=True)
class Count:
    """Crossings of one scene by direction, without those of objects that are left out; and with
    all objects, where the truth is a matter of pixels for some."""

    name: str
    true: dict[str, int]
    counted: dict[str, int]
    all_true: dict[str, int]
    all_counted: dict[str, int]

    @property
    def exact(self) -> bool:
        return self.true == self.counted


@dataclass(frozen=True, slots=True)
class Place:
    """One of the scenes."""

    view: View
    light: Light
    seed: int

    @property
    def name(self) -> str:
        return f"{self.view}-{self.light}-{self.seed}"

    def scene(self, seconds: float, density: float = 1.0) -> StreetScene:
        frames = round(seconds * FPS)
        return StreetScene(
            self.seed, fps=FPS, frames=frames, view=self.view, light=self.light, density=density
        )


def places(count: int) -> list[Place]:
    """All views in turn, by day, at dusk and at night."""
    return [
        Place(VIEWS[n % len(VIEWS)], LIGHTS[n // len(VIEWS) % len(LIGHTS)], FIRST_SEED + n)
        for n in range(count)
    ]


def count_truth(seconds: float, place: Place) -> Count:
    """Counts the true boxes of one scene."""
    scene = place.scene(seconds)
    return compare(place.name, list(scene.truths()), scene.default_line)


def compare(name: str, truths: Sequence[Truth], line: PictureLine) -> Count:
    """Tracker and counter over the true boxes, hidden ones too, beside who truly crosses."""
    shown = [replace(truth, ignore=np.zeros(len(truth), np.bool_)) for truth in truths]
    out = undecided(shown, line)
    true = [(c.track_id, c.direction) for c in crossings(shown, line)]
    told = list(counted(shown, line))
    return Count(
        name,
        _by_direction([way for ident, way in true if ident not in out]),
        _by_direction([way for ident, way in told if ident not in out]),
        _by_direction([way for _, way in true]),
        _by_direction([way for _, way in told]),
    )


def counted(truths: Sequence[Truth], line: PictureLine) -> Iterator[tuple[int, str]]:
    """True id and direction of every crossing that is counted."""
    tracker = make_tracker(TrackingConfig())
    assert tracker is not None
    counter = LineCounter(Line("line", *line))
    for number, truth in enumerate(truths):
        score = np.full(len(truth), 0.9, np.float32)
        boxes = truth.xyxy.astype(np.float32)
        tracks = tracker.update(boxes, score, truth.class_id, number / FPS)
        true_id = truth.track_id[tracks.detection_index].tolist()
        of_track = dict(zip(tracks.track_id.tolist(), true_id, strict=True))
        for crossing in counter.update(tracks, round(number / FPS * 1e9)):
            yield of_track[crossing.track_id], crossing.direction


def count_detected(model: str, seconds: float, density: float, place: Place) -> Count:
    """Counts what the detector finds in a drawn video of one scene."""
    scene = place.scene(seconds, density)
    with tempfile.TemporaryDirectory(prefix="eyrie-counting-") as folder:
        path = Path(folder) / "street.mp4"
        truths = write_video(scene, path)
        start, end = scene.default_line
        stream = {
            "id": place.name,
            "source": {"kind": "file", "path": str(path)},
            "lines": [{"name": "line", "start": start, "end": end}],
        }
        sink = {"kind": "jsonl", "path": str(Path(folder) / "told.jsonl")}
        config = parse_config({"streams": [stream], "sinks": [sink], "model": {"name": model}})
        told = asyncio.run(_told(Pipeline(config)))
    true = _by_direction([c.direction for c in crossings(truths, scene.default_line)])
    return Count(place.name, true, told, true, told)


async def _told(pipeline: Pipeline) -> dict[str, int]:
    async with pipeline:
        report = await pipeline.wait()
    if report.errors:
        raise RuntimeError(report.errors[0])
    told = Counter[str]()
    for (_, direction, _), count in report.streams[0].crossings.items():
        told[direction] += count
    return {"in": told["in"], "out": told["out"]}


def _by_direction(directions: Sequence[str]) -> dict[str, int]:
    return {"in": directions.count("in"), "out": directions.count("out")}


def main() -> None:
    parser = argparse.ArgumentParser(description="Counted and true crossings of synthetic streets.")
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--model")
    parser.add_argument("--density", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    work = partial(count_truth, arguments.seconds)
    if arguments.model:
        work = partial(count_detected, arguments.model, arguments.seconds, arguments.density)
    with ProcessPoolExecutor(arguments.workers) as pool:
        counts = []
        for count in pool.map(work, places(arguments.scenes)):
            counts.append(count)
            print(f"{count.name}: counted {count.counted} of {count.true}", flush=True)
    summary = summarise(counts)
    print(json.dumps(summary))
    if arguments.json:
        settings = {key: value for key, value in vars(arguments).items() if key != "json"}
        figures = {
            "machine": describe(),
            **settings,
            **summary,
            "scenes": list(map(asdict, counts)),
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def summarise(counts: Sequence[Count]) -> dict[str, float | int]:
    """Totals, and how far they are off: `wrong` sums over scenes and directions."""
    out: dict[str, float | int] = {"scenes_exact": sum(count.exact for count in counts)}
    for prefix in ("", "all_"):
        pairs = [
            (getattr(count, f"{prefix}true")[way], getattr(count, f"{prefix}counted")[way])
            for count in counts
            for way in ("in", "out")
        ]
        true, told = sum(true for true, _ in pairs), sum(told for _, told in pairs)
        out[f"{prefix}true"], out[f"{prefix}counted"] = true, told
        out[f"{prefix}wrong"] = sum(abs(a - b) for a, b in pairs)
        out[f"{prefix}total_off"] = round(abs(told - true) / max(true, 1), 4)
    return out


if __name__ == "__main__":
    main()
