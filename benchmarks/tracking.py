"""Milliseconds of one tracker update, on simulated crowds of walking people.

    python -m benchmarks.tracking [--updates 1500] [--json FILE]
    python -m benchmarks.tracking --endurance [--frames 1000000] [--json FILE]

Prints the median and the 95th percentile over all updates but the first hundred; with
`--endurance`, CPU time and memory of each tenth of a long run (15 minutes or so).
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from benchmarks.tracking_endurance import endure
from pipeline.core.arrays import F32, I32
from stages.tracking import Tracker

CROWDS = (18, 45)
FPS = 30.0
WIDTH_PX, HEIGHT_PX = 1920.0, 1080.0
WARM_UP = 100


def crowd(people: int, frames: int, seed: int = 0) -> list[tuple[F32, F32, I32]]:
    """Detections of people who walk straight and turn at the picture's edge, with noise, 5 % misses
    and 20 % low scores."""
    rng = np.random.default_rng(seed)
    size = rng.uniform((40, 90), (90, 240), (people, 2))
    at = rng.uniform((0, 0), (WIDTH_PX, HEIGHT_PX), (people, 2))
    velocity = rng.normal(0, 3, (people, 2))
    scene = []
    for _ in range(frames):
        at += velocity
        outside = (at < 0) | (at > (WIDTH_PX, HEIGHT_PX))
        velocity = np.where(outside, -velocity, velocity)
        seen = rng.uniform(size=people) > 0.05
        low = (at - size / 2 + rng.normal(0, 1.5, at.shape))[seen]
        boxes = np.concatenate([low, low + size[seen]], axis=1).astype(np.float32)
        weak = rng.uniform(size=len(boxes)) < 0.2
        score = np.where(weak, 0.3, rng.uniform(0.6, 0.95, len(boxes))).astype(np.float32)
        scene.append((boxes, score, np.zeros(len(boxes), np.int32)))
    return scene


def measure(people: int, updates: int) -> tuple[float, float, float]:
    """Mean number of reported tracks, median and 95th percentile in ms."""
    tracker = Tracker()
    taken_ms, reported = [], []
    for frame, found in enumerate(crowd(people, updates)):
        start_ns = time.perf_counter_ns()
        tracks = tracker.update(*found, frame / FPS)
        taken_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        reported.append(len(tracks))
    taken = np.array(taken_ms[WARM_UP:])
    return float(np.mean(reported)), float(np.median(taken)), float(np.percentile(taken, 95))


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one tracker update.")
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--endurance", action="store_true")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.endurance:
        found: dict[str, Any] = {"parts": _endurance(arguments.frames)}
    else:
        found = _updates(max(arguments.updates, WARM_UP + 1))
    if arguments.json is not None:
        result = {"machine": describe(), **found}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _updates(updates: int) -> dict[str, Any]:
    found = {}
    for people in CROWDS:
        tracks, median_ms, p95_ms = measure(people, updates)
        print(
            f"{people} people: {tracks:.1f} tracks, median {median_ms:.3f} ms, p95 {p95_ms:.3f} ms"
        )
        figures = {"tracks": tracks, "median_ms": median_ms, "p95_ms": p95_ms}
        found[f"{people} people"] = {key: round(value, 3) for key, value in figures.items()}
    return {"updates": updates, **found}


def _endurance(frames: int) -> list[dict[str, Any]]:
    parts = []
    print(f"{'frames':>9}{'ids':>9}{'alive':>7}{'median ms':>11}{'p99 ms':>8}{'peak MB':>9}")
    done = 0
    for part in endure(frames):
        done += part.frames
        parts.append(asdict(part))
        print(
            f"{done:>9}{part.ids:>9}{part.most_alive:>7}{part.median_ms:>11.3f}"
            f"{part.p99_ms:>8.3f}{part.peak_bytes / 1e6:>9.1f}",
            flush=True,
        )
    return parts


if __name__ == "__main__":
    main()
