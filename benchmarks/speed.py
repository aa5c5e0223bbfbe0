"""Speeds on the ground against the truth of the synthetic street, by distance.

    python -m benchmarks.speed [--seconds 40] [--model yolo_nas_n_int8]
        [--boxes true|detector|both|cost] [--set jitter=0.03 ...] [--json FILE]

Every scene is measured with four point pairs on its ground. `true`: the boxes of the scene itself,
with the ids of the scene. `detector`: the whole pipeline over the drawn pictures, as users run it;
its boxes are matched to true ones with an overlap of at least a half. The true speed is that of the
object's middle in the world. `error` is the median of absolute errors, `p90` their 90th percentile,
`sd` the median of the uncertainty that is told, and `within 2 sd` how many errors are below twice
that: about 0.95 where it is right. `at rest` are objects below 0.1 m/s.

`cost` alone: what one frame of 100 tracks takes, median of ten rounds, and the quietest of them.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.machine import describe
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.arrays import F64
from pipeline.core.messages import FrameMessage, decode
from stages.plane import Homography, SpeedMeter, SpeedParams
from stages.sources.street import LABELS, StreetScene
from stages.sources.street.truth import Truth
from stages.sources.street.views import View

FPS = 12.5
BANDS_M = (0, 10, 20, 30, 50, 200)
SCENES: tuple[tuple[View, int], ...] = (
    ("pavement", 910_001),
    ("street", 910_002),
    ("junction", 910_003),
    ("highway", 910_004),
    ("overhead", 910_005),
)
_REST_M_S = 0.1
_LEAST_IOU = 0.5


class Reading(NamedTuple):
    """One speed that was told, and what is true."""

    label: str
    distance_m: float
    told_m_s: float
    sd_m_s: float
    true_m_s: float


@dataclass(frozen=True, slots=True)
class Ground:
    """A scene, its true places, and four points of its ground in the picture and in metres."""

    view: View
    seed: int
    scene: StreetScene
    truths: list[Truth]
    places: list[dict[int, tuple[float, float]]]
    picture: F64
    plane: F64

    @classmethod
    def of(cls, view: View, seed: int, seconds: float) -> "Ground":
        """Point pairs are the corners of the lower part of the picture."""
        scene = StreetScene(seed, fps=FPS, frames=round(seconds * FPS), view=view)
        camera = scene.layout.camera
        low, high = scene.height, max(camera.horizon_px, 0.0)
        top = high + 0.2 * (low - high)
        width = scene.width
        picture = np.array(
            [(0.1 * width, 0.95 * low), (0.9 * width, 0.95 * low), (0.7 * width, top),
             (0.3 * width, top)]
        )  # fmt: skip
        truths, places = list(scene.truths()), list(scene.places())
        return cls(view, seed, scene, truths, places, picture, camera.ground(picture))

    def true_speed(self, frame: int, ident: int) -> float | None:
        """Metres a second between the frames before and behind."""
        if not 0 < frame < len(self.places) - 1:
            return None
        before, behind = self.places[frame - 1].get(ident), self.places[frame + 1].get(ident)
        if before is None or behind is None:
            return None
        return float(np.hypot(behind[0] - before[0], behind[1] - before[1]) * FPS / 2)

    def reading(
        self, frame: int, ident: int, label: str, told_m_s: float, sd_m_s: float
    ) -> Reading | None:
        """With its truth; None where that is not known."""
        true = self.true_speed(frame, ident)
        if true is None:
            return None
        x, y = self.places[frame][ident]
        eye = self.scene.layout.camera.position
        return Reading(label, float(np.hypot(x - eye[0], y - eye[1])), told_m_s, sd_m_s, true)


def from_true_boxes(ground: Ground, params: SpeedParams) -> Iterator[Reading]:
    """The meter alone."""
    homography = Homography.fit(ground.picture, ground.plane)
    meter = SpeedMeter(homography, params, ground.scene.width, ground.scene.height)
    for truth in ground.truths:
        seen = np.flatnonzero(~truth.ignore)
        motion = meter.update(truth.xyxy[seen], truth.track_id[seen], truth.frame / FPS)
        for row, told, sd in zip(
            seen.tolist(), motion.speed_m_s.tolist(), motion.speed_sd_m_s.tolist(), strict=True
        ):
            if told != told:
                continue
            label = LABELS[truth.class_id[row]]
            found = ground.reading(truth.frame, int(truth.track_id[row]), label, told, sd)
            if found is not None:
                yield found


def from_detector(
    grounds: Sequence[Ground], params: dict[str, float], model: str, folder: Path
) -> Iterator[Reading]:
    """The pipeline as it is."""
    asyncio.run(_run(grounds, params, model, folder))
    for ground in grounds:
        with (folder / f"{ground.view}.jsonl").open("rb") as file:
            for line in file:
                message = decode(line)
                if isinstance(message, FrameMessage):
                    yield from _matched(ground, message)


async def _run(
    grounds: Sequence[Ground], params: dict[str, float], model: str, folder: Path
) -> None:
    streams = []
    for ground in grounds:
        points = [
            {"picture": seen, "m": place}
            for seen, place in zip(ground.picture.tolist(), ground.plane.tolist(), strict=True)
        ]
        source = {
            "kind": "street", "seed": ground.seed, "view": ground.view, "fps": FPS,
            "seconds": len(ground.truths) / FPS,
            "width": ground.scene.width, "height": ground.scene.height,
        }  # fmt: skip
        streams.append({"id": ground.view, "source": source, "plane": {"points": points, **params}})
    sinks = [{"kind": "jsonl", "path": str(folder / "{stream_id}.jsonl")}]
    config = {"model": {"name": model}, "streams": streams, "sinks": sinks}
    async with Pipeline(parse_config(config)) as pipeline:
        report = await pipeline.wait()
    if report.errors:
        raise RuntimeError(report.errors[0])


def _matched(ground: Ground, message: FrameMessage) -> Iterable[Reading]:
    truth = ground.truths[message.seq]
    for found in message.detections:
        place = found.plane
        if place is None or place.speed_m_s is None or place.speed_uncertainty_m_s is None:
            continue
        overlaps = _iou(np.array(found.box), truth.xyxy)
        row = int(overlaps.argmax()) if len(overlaps) else -1
        if row < 0 or overlaps[row] < _LEAST_IOU:
            continue
        reading = ground.reading(
            message.seq, int(truth.track_id[row]), LABELS[truth.class_id[row]],
            place.speed_m_s, place.speed_uncertainty_m_s,
        )  # fmt: skip
        if reading is not None:
            yield reading


def _iou(box: F64, boxes: F64) -> F64:
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    found: F64 = shared / (np.prod(box[2:] - box[:2]) + areas - shared)
    return found


def cost(tracks: int = 100, frames: int = 200, rounds: int = 10) -> dict[str, float]:
    """Milliseconds that a `SpeedMeter` takes for a frame of so many tracks, all of them on the
    ground and seen in every frame."""
    homography = Homography.fit(
        np.array([(400.0, 900.0), (1500.0, 900.0), (1200.0, 400.0), (700.0, 400.0)]),
        np.array([(0.0, 0.0), (8.0, 0.0), (8.0, 30.0), (0.0, 30.0)]),
    )
    rng = np.random.default_rng(0)
    feet = rng.uniform((450, 450), (1450, 890), (tracks, 2))
    steps = rng.normal(0, 1, (frames, tracks, 2)).cumsum(axis=0) / 4
    ids, medians = np.arange(1, tracks + 1), []
    for _ in range(rounds):
        meter, taken_ms = SpeedMeter(homography, SpeedParams(), 1920, 1080), []
        for frame, step in enumerate(steps):
            low = feet + step
            boxes = np.hstack([low - np.array([20, 100]), low + np.array([20, 0])])
            began_ns = time.perf_counter_ns()
            meter.update(boxes, ids, frame / 25)
            taken_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
        medians.append(float(np.median(taken_ms)))
    return {
        "tracks": tracks,
        "median_ms": round(float(np.median(medians)), 3),
        "quietest_median_ms": round(min(medians), 3),
    }


def table(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """A row for each kind of object, way of moving and distance of which there are readings."""
    found = []
    for kind in ("person", "vehicle", "at rest"):
        for low, high in pairwise(BANDS_M):
            those = [
                reading for reading in readings
                if low <= reading.distance_m < high and _kind(reading) == kind
            ]  # fmt: skip
            if len(those) >= 50:
                found.append({"object": kind, "metres": f"{low}-{high}", **_summary(those)})
    return found


def _kind(reading: Reading) -> str:
    if reading.true_m_s < _REST_M_S:
        return "at rest"
    return "person" if reading.label == "person" else "vehicle"


def _summary(readings: Sequence[Reading]) -> dict[str, float]:
    told, sd, true = np.array([reading[2:] for reading in readings]).T
    error = told - true
    return {
        "readings": len(readings),
        "true": round(float(np.median(true)), 2),
        "bias": round(float(np.median(error)), 3),
        "error": round(float(np.median(np.abs(error))), 3),
        "p90": round(float(np.quantile(np.abs(error), 0.9)), 3),
        "sd": round(float(np.median(sd)), 3),
        "within 2 sd": round(float(np.mean(np.abs(error) <= 2 * sd + 5e-4)), 3),
    }


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    print(f"\n{title}, m/s")
    columns = ("object", "metres", "readings", "true", "bias", "error", "p90", "sd", "within 2 sd")
    print("  ".join(f"{column:>11}" for column in columns))
    for row in rows:
        print("  ".join(f"{row[column]:>11}" for column in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description="Speeds on the ground against the truth.")
    parser.add_argument("--seconds", type=float, default=40, help="of each scene")
    parser.add_argument("--model", default="yolo_nas_n_int8")
    boxes = ("true", "detector", "both", "cost")
    parser.add_argument("--boxes", choices=boxes, default="both")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=NUMBER")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    given = {key: float(value) for key, _, value in (one.partition("=") for one in arguments.set)}
    only_cost = arguments.boxes == "cost"
    scenes = () if only_cost else SCENES
    grounds = [Ground.of(view, seed, arguments.seconds) for view, seed in scenes]
    results: dict[str, Any] = {"machine": describe(), "cost": cost()}
    print(f"a frame of {results['cost']['tracks']} tracks: {results['cost']}")
    if arguments.boxes in ("true", "both"):
        params = SpeedParams(**given)
        readings = [found for ground in grounds for found in from_true_boxes(ground, params)]
        results["true boxes"] = table(readings)
        show("true boxes", results["true boxes"])
    if arguments.boxes in ("detector", "both"):
        with tempfile.TemporaryDirectory() as folder:
            readings = list(from_detector(grounds, given, arguments.model, Path(folder)))
        results["detector's boxes"] = table(readings)
        show("detector's boxes", results["detector's boxes"])
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
