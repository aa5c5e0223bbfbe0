"""What watching over a 1080p stream costs: `python -m benchmarks.health`."""

import json
import sys
import time
from typing import Final

import numpy as np

from benchmarks.machine import describe
from stages.base import Counts
from stages.health.watch import HealthWatch, Settings

FRAMES: Final = 500
PERIOD_NS: Final = 40_000_000
RUNS: Final = 5


def per_frame_ms() -> float:
    """Milliseconds for each of `FRAMES` pictures at 25 a second, on average: most are not looked
    at, the others cost more. Noise, so that nothing is found early."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (1080, 1920, 3), np.uint8) for _ in range(4)]
    eye, counts = HealthWatch(Settings()), Counts(declared_fps=25.0)
    began_s = time.perf_counter()
    for number in range(FRAMES):
        counts.decoded_total += 1
        counts.key_frames_total += number % 50 == 0
        eye.observe(images[number % len(images)], number * PERIOD_NS, counts)
    return (time.perf_counter() - began_s) / FRAMES * 1000


def main() -> None:
    """Print the runs as JSON."""
    runs = sorted(round(per_frame_ms(), 4) for _ in range(RUNS))
    told = {"machine": describe(), "per_frame_ms": {"min": runs[0], "median": runs[RUNS // 2]}}
    sys.stdout.write(f"{json.dumps(told, indent=2)}\n")


if __name__ == "__main__":
    main()
