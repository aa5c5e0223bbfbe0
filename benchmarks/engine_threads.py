"""Threads on one batch, or a batch for each thread: the default model on ONNX Runtime.

    python -m benchmarks.engine_threads [--seconds 0.5] [--rounds 4] [--json FILE]

`together`: one caller, all cores compute its batch (`hint: latency`). `beside`: a caller for each
core, whose thread alone computes its batch (`hint: throughput`). `alone`: one such caller, the
other cores at rest. All take turns in every round; medians.
"""

import argparse
import json
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.yolo_nas.detector import resolve
from pipeline.core.arrays import F32

CORES = len(os.sched_getaffinity(0))
BATCHES = (1, 4)
Figures = dict[str, float]


def work(engine: OnnxRuntimeEngine, callers: int, batch: F32, seconds: float) -> Figures:
    """Pictures a second, CPU ms a picture, and ms from a batch's call to its return."""

    def call() -> int:
        count, ends_s = 0, time.perf_counter() + seconds
        while time.perf_counter() < ends_s:
            engine.run(batch)
            count += 1
        return count

    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(callers) as pool:
        runs = sum(job.result() for job in [pool.submit(call) for _ in range(callers)])
    wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    pictures = runs * len(batch)
    return {
        "fps": pictures / wall_s,
        "cpu_ms": 1000 * cpu_s / pictures,
        "batch_ms": 1000 * wall_s * callers / runs,
    }


def measure(seconds: float, rounds: int) -> dict[str, Figures]:
    """Medians by kind and batch size."""
    path = resolve("yolo_nas_n_int8")
    own = OnnxRuntimeEngine(path, hint="throughput")
    cases = {
        "together": (OnnxRuntimeEngine(path, hint="latency"), 1),
        "beside": (own, CORES),
        "alone": (own, 1),
    }
    pictures = np.random.default_rng(0).random((max(BATCHES), 3, 416, 416), np.float32)
    found: dict[str, list[Figures]] = {}
    for _ in range(rounds):
        for size in BATCHES:
            for name, (engine, callers) in cases.items():
                told = work(engine, callers, pictures[:size], seconds)
                found.setdefault(f"{name}, batch {size}", []).append(told)
    return {
        name: {key: round(statistics.median(t[key] for t in told), 2) for key in told[0]}
        for name, told in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Threads on one batch, or a batch for each.")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.seconds, arguments.rounds)
    for name, figures in found.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
    if arguments.json:
        result: dict[str, Any] = {"machine": describe(), "engine_threads": found}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
