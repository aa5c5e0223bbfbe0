"""Milliseconds per picture of the bundled models, INT8 and FP32 interleaved in one run.

    python -m benchmarks.detector [--rounds 30] [--threads 2] [--json FILE]

Whole detections: letterbox, engine, suppression. Medians over rounds; models take turns in every
round, so that a busy machine is busy for both.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.engines.options import EngineOptions
from detectors.yolo_nas.detector import YoloNasDetector, resolve
from pipeline.build.detector import make_detector
from pipeline.config import ModelConfig

MODELS = ("yolo_nas_n", "yolo_nas_n_int8")
BATCHES = (1, 4, 8)
SIZE_PX = (540, 960)


def load(name: str, threads: int) -> YoloNasDetector:
    """A bundled model on the CPU engine, every picture padded to the file's shape."""
    path = resolve(name)
    return YoloNasDetector(OnnxRuntimeEngine(path, threads), path)


def as_in_a_run(name: str) -> YoloNasDetector:
    """A model as pipelines have it by default, on ONNX Runtime: its shape follows the pictures."""
    options = EngineOptions(engine="onnxruntime", integer_input=True)
    return make_detector(ModelConfig(name=name), ModelConfig().score_threshold, options)


def measure(rounds: int, threads: int) -> dict[tuple[str, int], float]:
    """Median ms per picture by (model, batch size)."""
    detectors = {name: load(name, threads) for name in MODELS}
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (*SIZE_PX, 3), dtype=np.uint8)
    taken: dict[tuple[str, int], list[float]] = {}
    for turn in range(rounds + 2):
        for batch in BATCHES:
            for name, detector in detectors.items():
                start_s = time.perf_counter()
                detector.detect([picture] * batch)
                if turn >= 2:
                    spent_ms = (time.perf_counter() - start_s) * 1000
                    taken.setdefault((name, batch), []).append(spent_ms / batch)
    return {key: float(np.median(values)) for key, values in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the bundled models.")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    medians = measure(arguments.rounds, arguments.threads)
    for batch in BATCHES:
        fp32, int8 = (medians[name, batch] for name in MODELS)
        print(
            f"batch {batch}: FP32 {fp32:.2f} ms, INT8 {int8:.2f} ms a picture, "
            f"INT8 {fp32 / int8:.2f} times as fast"
        )
    if arguments.json:
        by_model = {name: {str(b): round(medians[name, b], 2) for b in BATCHES} for name in MODELS}
        figures = {"machine": describe(), "ms_per_picture": by_model}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
