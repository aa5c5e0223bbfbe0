"""Does it pay to measure the camera's motion? Drawn scenes with moving cameras, tracked without and
with it: `python -m benchmarks.camera_motion [--seconds S] [--workers N] [--json FILE]`.

Detections are those of `benchmarks.tracking_quality`; the motion is measured in drawn pictures of
the same scenes, at 10 frames a second, where cameras move far between two frames.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from benchmarks.tracking_quality.families import Family, Recording, Take, record
from benchmarks.tracking_quality.measure import score
from benchmarks.tracking_quality.noise import YOLO_NAS_LIKE
from pipeline.core.arrays import F64
from pipeline.core.tracks import Tracks
from stages.camera_motion import CameraMotion, Method
from stages.sources.street.moving import MovingScene
from stages.track_evaluation import TrackScores
from stages.tracking import Tracker

SIZE, FPS = (960, 540), 10.0
TAKES: Mapping[str, tuple[Take, ...]] = {
    "static": (Take("square", "static", YOLO_NAS_LIKE, 901, FPS, size=SIZE),),
    "pan": (
        Take("square", "pan", YOLO_NAS_LIKE, 902, FPS, size=SIZE),
        Take("terrace", "pan", YOLO_NAS_LIKE, 903, FPS, size=SIZE),
    ),
    "handheld": (
        Take("square", "handheld", YOLO_NAS_LIKE, 904, FPS, size=SIZE),
        Take("footway", "handheld", YOLO_NAS_LIKE, 905, FPS, size=SIZE),
    ),
    "walking": (
        Take("square", "walking", YOLO_NAS_LIKE, 906, FPS, size=SIZE),
        Take("footway", "walking", YOLO_NAS_LIKE, 907, FPS, size=SIZE),
    ),
}
WAYS = ("none", "boxes", "flow", "ecc")
"""No motion; the tracker's own estimate from boxes; measured in the pictures."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The motion of one take's camera by one method, frame by frame, and what it took."""

    affines: list[F64 | None]
    took_s: list[float]
    outcomes: Counter[str] = field(default_factory=Counter)


def look(recording: Recording, methods: tuple[Method, ...]) -> dict[Method, Measured]:
    """Draw the take again, and measure."""
    take = recording.take
    scene = MovingScene(
        take.seed, take.place, take.camera, take.fps, len(recording.truths), *take.size
    )
    cameras = {method: CameraMotion(method) for method in methods}
    measured = {method: Measured([], []) for method in methods}
    for (image, _), found in zip(scene.frames(), recording.found, strict=True):
        for method, camera in cameras.items():
            begun_s = time.perf_counter()
            step = camera.estimate(image, found.xyxy)
            measured[method].took_s.append(time.perf_counter() - begun_s)
            measured[method].affines.append(step.affine if step.known else None)
            measured[method].outcomes[step.outcome] += 1
    return measured


def follow(recording: Recording, affines: list[F64 | None], **params: object) -> list[Tracks]:
    """The tracker over a take that is told these motions."""
    tracker = Tracker(**params)
    told = zip(recording.found, recording.times_s, affines, strict=True)
    return [
        tracker.update(found.xyxy, found.score, found.class_id, time_s, camera_motion=affine)
        for found, time_s, affine in told
    ]


def judge(seconds: float, take: Take) -> tuple[dict[str, TrackScores], dict[Method, Measured]]:
    """Scores of one take by way."""
    recording = record(
        Take(take.place, take.camera, take.noise, take.seed, take.fps, seconds, take.size)
    )
    measured = look(recording, ("flow", "ecc"))
    family, unknown = Family("takes", (take,)), [None] * len(recording.found)
    tracks: dict[str, list[Tracks]] = {
        "none": follow(recording, [*unknown], camera_from_boxes=False),
        "boxes": follow(recording, [*unknown]),
    }
    tracks |= {method: follow(recording, one.affines) for method, one in measured.items()}
    return {way: score(family, recording, of)[0] for way, of in tracks.items()}, measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each take")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    takes = [(name, take) for name, of in TAKES.items() for take in of]
    with ProcessPoolExecutor(asked.workers) as pool:
        work = partial(judge, asked.seconds)
        judged = list(pool.map(work, [take for _, take in takes]))
    print(
        f"{asked.seconds:g} s of each take, {SIZE[0]}x{SIZE[1]}, {FPS:g} fps; HOTA / IDF1 / swaps"
    )
    print(f"{'camera':10}" + "".join(f"{way:>22}" for way in WAYS))
    found: dict[str, Any] = {"machine": describe(), "seconds": asked.seconds}
    for name in TAKES:
        mine = [scores for (of, _), (scores, _) in zip(takes, judged, strict=True) if of == name]
        cells = [reduce(add, (scores[way] for scores in mine)).figures() for way in WAYS]
        print(f"{name:10}" + "".join(f"{_cell(figures):>22}" for figures in cells))
        kept = ("hota", "idf1", "id_switches")
        found[name] = {
            way: {key: round(float(figures[key]), 4) for key in kept}
            for way, figures in zip(WAYS, cells, strict=True)
        }
    for method in ("flow", "ecc"):
        parts = [measured for _, by_method in judged for of, measured in by_method.items()
                 if of == method]  # fmt: skip
        took_ms = 1e3 * np.concatenate([part.took_s[1:] for part in parts])
        outcomes = reduce(add, (part.outcomes for part in parts))
        print(f"{method}: median {np.median(took_ms):.2f} ms a frame, {dict(outcomes)}")
        found[f"{method}_ms"] = round(float(np.median(took_ms)), 2)
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


def _cell(figures: Mapping[str, float | int]) -> str:
    hota, idf1 = 100 * figures["hota"], 100 * figures["idf1"]
    return f"{hota:.1f} / {idf1:.1f} / {figures['id_switches']}"


if __name__ == "__main__":
    main()
