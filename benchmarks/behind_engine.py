"""CPU microseconds of a frame in each part behind the engine, by objects in the picture.

    python -m benchmarks.behind_engine [--rounds 7] [--json FILE]

`suppression` makes detections of what a network of 448 x 384 pixels answers: 40 places see each
object, most of them weakly. `tracker` follows people who walk, are missed and found again.
`publish` is all that the publish thread does for people who stand still, beside one line: tracker,
rules, message, JSON. Each is alone in one thread, with what it needs in the caches, and the best of
some rounds.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.machine import describe
from benchmarks.scaling.publishing import composer, infos, standing
from benchmarks.tracking import FPS, crowd
from detectors.letterbox import Letterbox
from detectors.yolo_nas.postprocess import Suppression
from detectors.yolo_nas.processing import Processing
from detectors.yolo_nas.voting import Voting
from pipeline.core.arrays import F32
from sinks.base import Outgoing
from stages.tracking import Tracker

OBJECTS: Final = (0, 1, 10, 50)
FRAMES: Final = 200
PLACES: Final = 40
ANCHORS, CLASSES = 3528, 5
PROCESSING: Final = Processing(
    ("person", "bicycle", "car", "bus", "truck"), Letterbox(384, 448), voting=Voting(support=0)
)
RULE: Final = Suppression(0.1, 0.5, multi_label=False, class_agnostic=True)


def answer(objects: int) -> tuple[F32, F32]:
    """Boxes (A, 4) and scores (A, C) of so many objects in rows of ten."""
    rng = np.random.default_rng(objects)
    corner = rng.uniform(0, 384, (ANCHORS, 2))
    size = rng.uniform(8, 60, (ANCHORS, 2))
    scores = rng.uniform(0, 0.01, (ANCHORS, CLASSES))
    seen = slice(0, objects * PLACES)
    row, column = np.divmod(np.arange(objects).repeat(PLACES), 10)
    corner[seen] = np.stack([42 * column, 70 * row], axis=1) + rng.normal(0, 1.5, (len(row), 2))
    size[seen] = rng.normal((26, 60), 1.5, (len(row), 2))
    scores[seen, 0] = np.tile(np.geomspace(0.9, 0.02, PLACES), objects)
    boxes = np.concatenate([corner, corner + size], axis=1)
    return boxes.astype(np.float32), scores.astype(np.float32)


def suppression(objects: int) -> Callable[[], None]:
    boxes, scores = answer(objects)

    def frames() -> None:
        for _ in range(FRAMES):
            PROCESSING.finish(boxes, scores, RULE)

    return frames


def tracker(objects: int) -> Callable[[], None]:
    scene = crowd(objects, FRAMES)

    def frames() -> None:
        follower = Tracker()
        for number, found in enumerate(scene):
            follower.update(*found, number / FPS)

    return frames


def publish(objects: int) -> Callable[[], None]:
    told, found, stream = composer(), standing(objects), infos()

    def frames() -> None:
        for info in itertools.islice(stream, FRAMES):
            messages, _ = told.frame(info, found)
            for message in messages:
                Outgoing.of(message)

    return frames


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """By part and number of objects."""
    parts = {
        (part.__name__, objects): part(objects)
        for part in (suppression, tracker, publish)
        for objects in OBJECTS
    }
    best: dict[str, dict[str, float]] = {name: {} for name, _ in parts}
    for _ in range(rounds):
        for (name, objects), frames in parts.items():
            start_ns = time.thread_time_ns()
            frames()
            spent_us = (time.thread_time_ns() - start_ns) / FRAMES / 1000
            known = best[name].get(str(objects), float("inf"))
            best[name][str(objects)] = round(min(known, spent_us), 1)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description="Time what comes behind the engine.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.rounds)
    for name, by_objects in found.items():
        shown = ", ".join(f"{count} objects {us} us" for count, us in by_objects.items())
        print(f"{name}: {shown}")
    if arguments.json:
        result = {"machine": describe(), "cpu_us": found}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
