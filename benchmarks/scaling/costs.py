"""What a frame costs on this machine, measured; and what was not measured here, said so."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.gil_sampler import Sampler, find_lock
from benchmarks.scaling.parts import PARTS, SECONDS
from pipeline.bench.clips import make_clip

SIZES: Final = {"1080p": (1920, 1080), "cif": (352, 288)}
CLIP_FRAMES: Final = 150


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a frame's way: ms of CPU time, and ms of them with Python's lock."""

    cpu_ms: float
    held_ms: float


Costs = dict[str, dict[str, Part]]
"""By the size of the pictures, then by the name of the part."""


def measure(rounds: int, folder: Path) -> Costs:
    """All parts, each alone on the machine; they take turns. Medians."""
    clips = {
        name: make_clip(folder / f"{name}.mp4", *size, CLIP_FRAMES) for name, size in SIZES.items()
    }
    lock = find_lock()
    found: dict[tuple[str, str], list[Part]] = {}
    for _ in range(rounds):
        for size, clip in clips.items():
            for part in PARTS:
                found.setdefault((size, part), []).append(_watch(part, clip, lock))
    return {size: {part: _median(found[size, part]) for part in PARTS} for size in SIZES}


def _median(parts: Sequence[Part]) -> Part:
    cpu_ms = statistics.median(part.cpu_ms for part in parts)
    held_ms = statistics.median(part.held_ms for part in parts)
    return Part(round(cpu_ms, 3), round(held_ms, 4))


def _watch(part: str, clip: Path, lock: int) -> Part:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.scaling.parts", part, str(clip)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        sampler = Sampler(process.pid, int(process.stdout.readline()), lock)
        sampler.look_until(time.monotonic() + SECONDS - 0.1)
        count, wall_s, cpu_s = (float(word) for word in process.stdout.readline().split())
        sampler.close()
        process.kill()
    return Part(1000 * cpu_s / count, 1000 * sampler.share * wall_s / count)
