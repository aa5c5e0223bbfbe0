"""What a stretch of time was used for: frames a second, CPU time, cores that were idle or taken."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline import Pipeline

CORES: Final = len(os.sched_getaffinity(0))
LOOK_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Moment:
    """Frames done until then, and seconds: of the clock, of this process's CPU time, and of work
    that all cores have done for anybody."""

    frames: int
    clock_s: float
    cpu_s: float
    busy_s: float

    @classmethod
    def now(cls, frames: int) -> "Moment":
        """As of now."""
        ticks = [int(word) for word in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]
        busy_s = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")  # idle, iowait
        return cls(frames, time.perf_counter(), time.process_time(), busy_s)

    def until(self, end: "Moment") -> dict[str, float]:
        """Frames a second, CPU ms a frame, the share of the cores that this process left idle, and
        the one that others took: other processes, or the machine's host."""
        frames, cores_s = end.frames - self.frames, CORES * (end.clock_s - self.clock_s)
        cpu_s = end.cpu_s - self.cpu_s
        return {
            "fps": frames * CORES / cores_s,
            "cpu_ms": 1000 * cpu_s / frames,
            "idle": 1 - cpu_s / cores_s,
            "taken": max(end.busy_s - self.busy_s - cpu_s, 0) / cores_s,
        }


async def when(pipeline: Pipeline, has_come: Callable[[list[int]], bool]) -> Moment:
    """The moment at which the numbers of frames that the streams have told are as wanted, or a
    stream is over."""
    while True:
        streams = pipeline.report().streams
        told = [stream.published for stream in streams]
        if has_come(told) or any(stream.ended for stream in streams):
            return Moment.now(sum(told))
        await asyncio.sleep(LOOK_S)
