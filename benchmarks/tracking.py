"""Milliseconds of one tracker update, on simulated crowds of walking people.

    python -m benchmarks.tracking [--updates 1500]

Prints the median and the 95th percentile over all updates but the first hundred.
"""

import argparse
import time

import numpy as np

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
    updates = max(parser.parse_args().updates, WARM_UP + 1)
    for people in CROWDS:
        tracks, median_ms, p95_ms = measure(people, updates)
        print(
            f"{people} people: {tracks:.1f} tracks, median {median_ms:.3f} ms, p95 {p95_ms:.3f} ms"
        )


if __name__ == "__main__":
    main()
