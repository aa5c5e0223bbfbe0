"""What it costs to put a frame into its lane, take it in a batch and account for it, by lanes.

    python -m benchmarks.batching [--out FILE.json]

Real lanes, batcher and pace, in one thread: nothing waits, so the time is the work. `busy`: every
lane has a frame; `few`: sixteen have, and the others none.
"""

import argparse
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from pipeline.core.clock import SystemClock
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.picture import RgbPicture
from pipeline.load.pace import Pace
from pipeline.stream.lane import Lane
from stages.batch import Batcher

LANES, FEW, SIZE, FRAMES, ROUNDS = (1, 16, 32, 1000), 16, 4, 20_000, 5


def measure(lanes: int, active: int, target_s: float | None) -> float:
    """Microseconds a frame, the best of `ROUNDS`."""
    condition, clock = threading.Condition(), SystemClock()
    pace = Pace(target_s, SIZE, clock)
    batcher = Batcher(condition, SIZE, 0.0, clock, pace)
    made = [_lane(condition, clock) for _ in range(lanes)]
    with condition:
        for lane in made:
            batcher.lanes.append(lane)
    frames = [_frame(number) for number in range(active)]
    rounds = max(FRAMES // active, 1)
    return min(_round(batcher, made[:active], frames, rounds) for _ in range(ROUNDS))


def _round(batcher: Batcher, lanes: list[Lane], frames: list[Frame], rounds: int) -> float:
    began_s = time.thread_time()
    for _ in range(rounds):
        for lane, frame in zip(lanes, frames, strict=True):
            lane.put(frame)
        left = len(lanes)
        while left:
            left -= len(batcher.take())
            batcher.handed_on()
    return (time.thread_time() - began_s) / (rounds * len(lanes)) * 1e6


def _lane(condition: threading.Condition, clock: SystemClock) -> Lane:
    def ignore(frame: Frame) -> None:
        pass

    return Lane(
        4, "drop_oldest", longest_age_s=1.0, by_target=True, on_drop=ignore, on_late=ignore,
        condition=condition, clock=clock,
    )  # fmt: skip


def _frame(number: int) -> Frame:
    info = FrameInfo(
        stream_id=f"s{number}", epoch=0, seq=0, pts_ns=0, captured_ns=0, arrived_ns=0,
        clock="arrival", uncertainty_ns=0, width=1, height=1,
    )  # fmt: skip
    return Frame(info, RgbPicture(np.zeros((1, 1, 3), np.uint8)))


def figures() -> list[dict[str, Any]]:
    """One row for each number of lanes, with and without a target."""
    rows = []
    for target_s in (None, 0.1):
        for lanes in LANES:
            for load, active in (("busy", lanes), ("few", min(FEW, lanes))):
                us = round(measure(lanes, active, target_s), 2)
                rows.append({"target": target_s, "lanes": lanes, "load": load, "us_per_frame": us})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of batching a frame, by lanes.")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = json.dumps({"machine": machine.describe(), "rows": figures()}, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
