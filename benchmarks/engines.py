"""Milliseconds per picture of a model on every engine of this machine, interleaved in one run.

    python -m benchmarks.engines [--model yolo_nas_n --model yolo_nas_n_int8] [--rounds 15]
        [--threads 2] [--json FILE]

The network alone, on random numbers. Engines and batch sizes take turns in every round, so that a
busy machine is busy for all; told are the median and the least of the rounds.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from detectors.base import Engine
from detectors.engines.open import EngineChoice, EngineOptions, Hint, open_engine
from detectors.yolo_nas.detector import resolve
from pipeline.core.arrays import F32
from pipeline.core.errors import EngineLoadError

MODELS = ("yolo_nas_n", "yolo_nas_n_int8")
BATCHES = (1, 4, 8)
SETTINGS: tuple[tuple[EngineChoice, Hint], ...] = (
    ("onnxruntime", "latency"),
    ("openvino", "latency"),
    ("openvino", "throughput"),
    ("tensorrt", "latency"),
)
WARM_ROUNDS = 2

Setting = tuple[str, str, str]
"""Model, engine and hint."""


def open_all(models: list[str], threads: int) -> dict[Setting, Engine]:
    """Every engine that is here, with each of the models."""
    found: dict[Setting, Engine] = {}
    for model in models:
        for name, hint in SETTINGS:
            options = EngineOptions(engine=name, hint=hint, threads=threads, max_batch=max(BATCHES))
            try:
                found[model, name, hint] = open_engine(resolve(model), options)
            except EngineLoadError as error:
                print(f"left out: {error}")
    return found


def measure(engines: dict[Setting, Engine], rounds: int) -> dict[tuple[Setting, int], list[float]]:
    """ms per picture of each round, by setting and batch size."""
    rng = np.random.default_rng(0)
    taken: dict[tuple[Setting, int], list[float]] = {}
    for turn in range(rounds + WARM_ROUNDS):
        for batch in BATCHES:
            for setting, engine in engines.items():
                spent_ms = _once(engine, rng.random(_shape(engine, batch), np.float32))
                if turn >= WARM_ROUNDS:
                    taken.setdefault((setting, batch), []).append(spent_ms / batch)
    return taken


def _shape(engine: Engine, batch: int) -> tuple[int, ...]:
    return (batch, *(side or 1 for side in engine.inputs[0].shape[1:]))


def _once(engine: Engine, images: F32) -> float:
    start_s = time.perf_counter()
    engine.run(images)
    return (time.perf_counter() - start_s) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="Time models on every engine of this machine.")
    parser.add_argument("--model", action="append")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    engines = open_all(arguments.model or list(MODELS), arguments.threads)
    taken = measure(engines, arguments.rounds)
    figures = []
    for (setting, batch), values in sorted(taken.items()):
        median, least = float(np.median(values)), min(values)
        model, name, hint = setting
        engine = engines[setting]
        print(
            f"{model:16} {engine.precision} {name:11} {hint:10} batch {batch}: "
            f"median {median:6.2f}, least {least:6.2f} ms a picture"
        )
        figures.append(
            {
                "model": model, "engine": engine.name, "device": engine.device,
                "precision": engine.precision, "hint": hint, "batch": batch,
                "ms_per_picture": round(median, 2), "least_ms_per_picture": round(least, 2),
            }
        )  # fmt: skip
    if arguments.json:
        said = {"machine": describe(), "threads": arguments.threads, "figures": figures}
        arguments.json.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
