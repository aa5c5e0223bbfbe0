"""What it takes an item to get from one thread into another by a channel.

    python -m benchmarks.channel [--items 5000] [--rounds 5] [--json FILE]

Two threads and two channels: an item is put into one, the other thread takes it and puts it into
the second, from which the first takes it. Half of the time for both ways is a *hop*: from before
`put` to behind `take`. `shared`: the first channel is one of those that share one condition, as
the streams' lanes do, while a thread waits for room in each of `WAITING` others. `floor`: the same
with two bare locks instead of channels: what the machine takes to wake a thread that then needs
the interpreter.
"""

import argparse
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from pipeline.channel import Channel

WAITING = 16
SHARES = (10, 50, 90, 99)


def hops_us(there: Channel[int], back: Channel[int], items: int) -> list[float]:
    """Microseconds of so many hops, each the mean of both ways."""

    def echo() -> None:
        while taken := there.take(1):
            back.put(taken[0])

    thread = threading.Thread(target=echo)
    thread.start()
    found = []
    for item in range(items):
        start_s = time.perf_counter()
        there.put(item)
        back.take(1)
        found.append((time.perf_counter() - start_s) / 2 * 1e6)
    there.close()
    thread.join()
    return found


def floor_us(items: int) -> list[float]:
    """The same of an item that is only a lock's release."""
    there, back = threading.Lock(), threading.Lock()
    there.acquire()
    back.acquire()

    def echo() -> None:
        for _ in range(items):
            there.acquire()
            back.release()

    thread = threading.Thread(target=echo)
    thread.start()
    found = []
    for _ in range(items):
        start_s = time.perf_counter()
        there.release()
        back.acquire()
        found.append((time.perf_counter() - start_s) / 2 * 1e6)
    thread.join()
    return found


@contextmanager
def crowd(condition: threading.Condition) -> Iterator[None]:
    """Threads that wait for room in full channels of this condition."""
    full = [Channel[int](1, "block", condition=condition) for _ in range(WAITING)]
    for channel in full:
        channel.put(0)
    threads = [threading.Thread(target=channel.put, args=(1,)) for channel in full]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for channel in full:
            channel.close()
        for thread in threads:
            thread.join()


def measure(items: int, rounds: int) -> dict[str, dict[str, float]]:
    """Percentiles of hops, all kinds in turn."""
    alone: list[float] = []
    shared: list[float] = []
    floor: list[float] = []
    for _ in range(rounds):
        alone += hops_us(Channel(4, "block"), Channel(4, "block"), items)
        condition = threading.Condition()
        with crowd(condition):
            lane = Channel[int](4, "block", condition=condition)
            shared += hops_us(lane, Channel(4, "block"), items)
        floor += floor_us(items)
    told = {"alone": alone, "shared": shared, "floor": floor}
    return {name: _percentiles(hops) for name, hops in told.items()}


def _percentiles(values: list[float]) -> dict[str, float]:
    found = np.percentile(values, SHARES)
    return {
        f"p{share}_us": round(float(value), 1) for share, value in zip(SHARES, found, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time an item's way through a channel.")
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.items, arguments.rounds)
    for name, figures in found.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
    if arguments.json:
        result: dict[str, Any] = {"machine": describe(), "hop": found}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
