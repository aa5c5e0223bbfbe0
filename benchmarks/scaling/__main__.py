"""To 1,000 cameras on 64 cores and 4 GPUs, on paper: what a frame costs here, through a model.

    python -m benchmarks.scaling [--rounds 3] [--check-rounds 2] [--costs FILE] [--only-measure]
        [--json FILE] [--png FILE]

1. Parts of a frame are measured, each alone (`benchmarks.scaling.parts`).
2. The model (`benchmarks.scaling.model`) is held against real runs of 1 to 16 cameras on the cores
   that are there: frames a second that were told.
3. It says what larger machines would do. GPUs were not measured: their figures are assumptions.

`--costs FILE` takes the parts and the check out of an earlier JSON file.
"""

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gil_sampler import find_lock
from benchmarks.machine import describe
from benchmarks.scaling.costs import Costs, Part, measure
from benchmarks.scaling.model import FPS, Machine, Simulation
from benchmarks.scaling.plot import plot
from benchmarks.scaling.scenarios import ASSUMPTIONS, STREAMS, here, scenarios
from benchmarks.workers import Case, watch
from pipeline.bench.clips import make_clip

CHECKED = (1, 4, 16)
MOST_FRAMES = 20_000


def simulate(machine: Machine, streams: int, seconds: float = 8.0) -> dict[str, Any]:
    """One point: shares and latencies."""
    seconds = min(seconds, max(1.5, MOST_FRAMES / (streams * FPS)))
    load = Simulation(machine, streams, seconds).run()
    return {
        "streams": streams,
        "share_told": round(load.told / load.offered, 4),
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
        "busy": load.busy,
        "bottleneck": load.bottleneck,
    }


def check(costs: Costs, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Frames a second of all streams together, told by real runs and by the model: CIF cameras and
    the default model on these cores."""
    clip = make_clip(folder / "check.mp4", 352, 288, 500)
    lock, cores, rows = find_lock(), len(os.sched_getaffinity(0)), []
    for streams in CHECKED:
        case = Case(str(clip), streams, workers=0, live=True, model=True)
        real = [watch(case, lock) for _ in range(rounds)]
        told = simulate(here(costs["cif"], cores), streams)["share_told"] * streams * FPS
        fps = sum(one["fps"] for one in real) / rounds
        rows.append(
            {
                "streams": streams,
                "real_fps": round(fps, 1),
                "model_fps": round(told, 1),
                "ratio": round(told / fps, 2),
                "real_gil_share": round(sum(one["gil_share"] for one in real) / rounds, 3),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate many streams on large machines.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check-rounds", type=int, default=2)
    parser.add_argument("--costs", type=Path)
    parser.add_argument("--only-measure", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--png", type=Path)
    arguments = parser.parse_args()
    if arguments.costs:
        result = json.loads(arguments.costs.read_text(encoding="utf-8"))
        costs = {size: {name: Part(**part) for name, part in parts.items()}
                 for size, parts in result["parts"].items()}  # fmt: skip
    else:
        with tempfile.TemporaryDirectory() as folder:
            costs = measure(arguments.rounds, Path(folder))
            checked = check(costs, arguments.check_rounds, Path(folder))
        parts = {size: {name: asdict(part) for name, part in of.items()}
                 for size, of in costs.items()}  # fmt: skip
        result = {"machine": describe(), "parts": parts, "check": checked}
    result["assumptions"] = ASSUMPTIONS
    result["scenarios"] = {
        name: [simulate(machine, streams) for streams in STREAMS]
        for name, machine in scenarios(costs).items()
        if not arguments.only_measure
    }
    for row in result["check"]:
        print("  ".join(f"{key} {value:g}" for key, value in row.items()))
    for name, points in result["scenarios"].items():
        held = [p["streams"] for p in points if p["share_told"] >= 0.99 and p["p99_ms"] <= 150]
        over = next((p for p in points if p["streams"] > max(held, default=0)), points[-1])
        print(f"{name}: {max(held, default=0)} streams, then {over['bottleneck']}: {over['busy']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.png:
        plot(result["scenarios"], arguments.png)


if __name__ == "__main__":
    main()
