"""One tracker over a million frames in which everything comes and goes: is its cost flat?

Called by `python -m benchmarks.tracking --endurance`. Objects live for seconds, are missed, come
back, and are joined by false positives; the camera jumps at times, and time has gaps.
"""

import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, I32
from stages.tracking import Tracker

FPS = 25.0
SIZE_PX = (1920.0, 1080.0)
LIFE_S = 6.0


@dataclass(frozen=True, slots=True)
class Part:
    """What a run of frames cost: CPU time of the updates, so that what else the machine does does
    not count, and `peak_bytes`, the most memory that the process ever held."""

    frames: int
    ids: int
    most_alive: int
    median_ms: float
    p99_ms: float
    peak_bytes: int


def churn(objects: int, seed: int) -> Iterator[tuple[F32, F32, I32, float]]:
    """Detections and time of endless frames."""
    rng, now_s = np.random.default_rng(seed), 0.0
    size = rng.uniform((30, 70), (90, 220), (objects, 2))
    at = rng.uniform((0, 0), SIZE_PX, (objects, 2))
    velocity = rng.normal(0, 3, (objects, 2))
    while True:
        now_s += (rng.integers(1, 4) if rng.random() < 0.02 else 1) / FPS
        gone = rng.random(objects) < 1 / (LIFE_S * FPS)
        at[gone] = rng.uniform((0, 0), SIZE_PX, (int(gone.sum()), 2))
        jump = rng.normal(0, 20, 2) if rng.random() < 0.02 else 0.0
        at = at + velocity + jump
        outside = (at < 0) | (at > SIZE_PX)
        velocity = np.where(outside, -velocity, velocity)
        at = np.clip(at, 0, SIZE_PX)
        seen = rng.random(objects) > 0.1
        false_at = rng.uniform((0, 0), SIZE_PX, (rng.poisson(0.5), 2))
        centre = np.concatenate([at[seen] + rng.normal(0, 1.5, (int(seen.sum()), 2)), false_at])
        half = np.concatenate([size[seen], np.full((len(false_at), 2), 60.0)]) / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
        score = rng.uniform(0.05, 0.98, len(boxes)).astype(np.float32)
        yield boxes, score, np.zeros(len(boxes), np.int32), now_s


def endure(frames: int, parts: int = 10, objects: int = 30, seed: int = 0) -> Iterator[Part]:
    """Cost of each of `parts` equal parts of a run of `frames`; raises `RuntimeError` when an id
    comes back after its end, or twice in a frame."""
    tracker, scene = Tracker(), churn(objects, seed)
    highest, alive = 0, set[int]()
    for _ in range(parts):
        count, first, most = frames // parts, highest, 0
        taken_ns = np.empty(count)
        for frame in range(count):
            boxes, score, kinds, now_s = next(scene)
            start_ns = time.thread_time_ns()
            tracks = tracker.update(boxes, score, kinds, now_s)
            taken_ns[frame] = time.thread_time_ns() - start_ns
            ids = tracks.track_id.tolist()
            fresh = set(ids) - alive
            if len(set(ids)) < len(ids) or min(fresh, default=highest + 1) <= highest:
                raise RuntimeError(f"endurance: an id is used again: {ids}, highest {highest}")
            highest = max(highest, *fresh) if fresh else highest
            alive = (alive | fresh) - set(tracks.ended.tolist())
            most = max(most, len(alive))
        median, p99 = np.percentile(taken_ns, [50, 99]) / 1e6
        yield Part(count, highest - first, most, float(median), float(p99), _peak_bytes())


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
