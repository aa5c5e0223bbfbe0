"""INT8 beside FP32: time, and where it goes.

    python -m benchmarks.int8_speed [--case yolo_nas_n:320 ...] [--threads 2] [--seconds 8]
        [--folder FOLDER] [--json FILE]

Makes its models: `yolo_nas_n` from the bundled checkpoint, others with weights by the tests' rule,
calibrated on noise, which changes nothing in speed; `--folder` keeps them for the next time.

FP32 and INT8 take turns in every round, so that a busy machine is busy for both; each runs twice,
and the second counts, as in a stream of pictures, where the caches hold the network that runs. The
ratio is FP32 / INT8 of the same round: its median, and the tenth and ninetieth of a hundred.
`quick` are the means of the fastest quarters. The operators' times are the engines' own profiles of
the INT8 file.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from benchmarks.machine import ROOT, describe
from detectors.base import Engine
from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.engines.openvino import OpenVinoEngine
from detectors.engines.options import EngineOptions
from detectors.engines.planned import planned_layers
from detectors.engines.profile import (
    KINDS,
    Step,
    computed_in_int8,
    onnxruntime_steps,
    openvino_steps,
)
from detectors.export import export
from detectors.quantize.calibrate import ranges
from detectors.quantize.graph import Graph
from detectors.quantize.latency import quick_s
from detectors.quantize.qdq import activations, quantize
from detectors.yolo_nas.architecture.model import build
from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint, read
from pipeline.core.arrays import F32, F64

CASES = ("yolo_nas_n:320", "yolo_nas_n:640", "yolo_nas_s:320", "yolo_nas_s:640")
ENGINES = ("onnxruntime", "onnxruntime spinning", "openvino")
PROFILE_RUNS = 30
WARM_ROUNDS, LEAST_ROUNDS = 2, 12
CLASSES = 80


def noise(side_px: int) -> F32:
    """One picture (1, 3, side, side)."""
    return np.random.default_rng(0).random((1, 3, side_px, side_px), np.float32)


def make(variant: str, side_px: int, folder: Path) -> tuple[Path, Path]:
    """An FP32 file and its INT8 form, all convolutions quantized, in `folder`."""
    whole = folder / f"{variant}_{side_px}.onnx"
    small = whole.with_stem(f"{whole.stem}_int8")
    if small.is_file():
        return whole, small
    export(_checkpoint(variant, folder), whole, (side_px, side_px))
    graph = Graph.load(whole)
    reach = ranges(graph, activations(graph), [noise(side_px)], "max")
    model = quantize(graph, reach)
    metadata = {entry.key: entry.value for entry in graph.model.metadata_props}
    onnx.helper.set_model_props(model, metadata | {"eyrie.precision": "int8"})
    onnx.save(model, small)
    return whole, small


def _checkpoint(variant: str, folder: Path) -> Checkpoint:
    bundled = ROOT / "detectors" / "weights" / f"{variant}.pth"
    if bundled.is_file():
        return read(bundled)
    path = folder / f"{variant}.pth"
    state = build(variant, CLASSES).state_dict()
    fill = fill_value()
    filled = {key: torch.from_numpy(fill(key, value.shape)) for key, value in state.items()}
    names = [f"class {n}" for n in range(CLASSES)]
    about = {"variant": variant, "class_names": names, "input_size": [640, 640]}
    torch.save({"net": filled, **about}, path)
    return read(path)


def fill_value() -> Callable[[str, Sequence[int]], Any]:
    """The rule by which tests make weights from names."""
    path = ROOT / "tests" / "detectors" / "yolo_nas" / "fill_rule.py"
    spec = importlib.util.spec_from_file_location("fill_rule", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rule: Callable[[str, Sequence[int]], Any] = module.fill_value
    return rule


def ratios(seconds: F64) -> dict[str, float]:
    """Of (rounds, 2) seconds, FP32 and INT8: see the module's docstring."""
    low, middle, high = np.quantile(seconds[:, 0] / seconds[:, 1], (0.1, 0.5, 0.9))
    whole_s, small_s = quick_s(seconds)
    return {
        "fp32_ms": round(float(np.median(seconds[:, 0])) * 1e3, 2),
        "int8_ms": round(float(np.median(seconds[:, 1])) * 1e3, 2),
        "quick_fp32_ms": round(whole_s * 1e3, 2),
        "quick_int8_ms": round(small_s * 1e3, 2),
        "ratio": round(float(middle), 2),
        "ratio_10": round(float(low), 2),
        "ratio_90": round(float(high), 2),
        "quick_ratio": round(whole_s / small_s, 2),
    }


def operators(steps: list[Step], small: Path) -> dict[str, Any]:
    """Share of the time by kind of operator, and the convolutions that ran on integers."""
    spent: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    count: Counter[str] = Counter()
    for step in steps:
        spent[step.kind] += step.us
        count[step.kind] += 1
    total = sum(spent.values())
    layers = planned_layers(Graph.load(small))
    planned = [layer.name for layer in layers if layer.precision == "int8"]
    ran = computed_in_int8(steps, planned)
    return {
        "share_percent": {kind: round(100 * spent[kind] / total, 1) for kind in KINDS},
        "operators": {kind: count[kind] for kind in KINDS},
        "planned_int8": len(planned),
        "ran_int8": len(ran),
        "not_int8": sorted(set(planned) - set(ran)),
    }


def measure(case: str, folder: Path, threads: int, seconds: float) -> Iterator[dict[str, Any]]:
    """One record per engine."""
    variant, _, side = case.partition(":")
    whole, small = make(variant, int(side), folder)
    images = noise(int(side))
    for engine in ENGINES:
        taken = turns(engine, (whole, small), images, threads, seconds)
        profiled = openvino_steps if engine == "openvino" else onnxruntime_steps
        steps = profiled(small, images, threads=threads, runs=PROFILE_RUNS)
        yield {
            "model": variant, "side_px": int(side), "engine": engine, "threads": threads,
            "rounds": len(taken), **ratios(taken), **operators(steps, small),
        }  # fmt: skip


def opened(engine: str, path: Path, threads: int) -> Engine:
    if engine == "openvino":
        return OpenVinoEngine(path, EngineOptions(threads=threads))
    return OnnxRuntimeEngine(path, threads, spin=engine.endswith("spinning"))


def turns(engine: str, paths: Sequence[Path], images: F32, threads: int, seconds: float) -> F64:
    """(rounds, files) seconds of the files on an engine, for about `seconds`."""
    engines = [opened(engine, path, threads) for path in paths]
    rounds: list[list[float]] = []
    ends_s = time.perf_counter() + seconds
    while time.perf_counter() < ends_s or len(rounds) < LEAST_ROUNDS:
        rounds.append([second_run_s(one, images) for one in engines])
    for one in engines:
        one.close()
    return np.array(rounds[WARM_ROUNDS:])


def second_run_s(engine: Engine, images: F32) -> float:
    engine.run(images)
    start_s = time.perf_counter()
    engine.run(images)
    return time.perf_counter() - start_s


def show(record: dict[str, Any]) -> None:
    print(
        f"{record['model']} {record['side_px']} px, {record['engine']}: "
        f"{record['fp32_ms']} -> {record['int8_ms']} ms, {record['ratio']}x "
        f"({record['ratio_10']} to {record['ratio_90']}; quick {record['quick_fp32_ms']} -> "
        f"{record['quick_int8_ms']} ms, {record['quick_ratio']}x); "
        f"{record['ran_int8']} of {record['planned_int8']} convolutions in INT8"
    )
    for kind, share in record["share_percent"].items():
        print(f"  {kind:18} {record['operators'][kind]:4} operators {share:5.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description="INT8 beside FP32: time, and where it goes.")
    parser.add_argument("--case", action="append", help="variant:side in pixels")
    parser.add_argument("--seconds", type=float, default=8, help="of measuring, a case")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where models are kept")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    records = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for case in arguments.case or CASES:
            for record in measure(case, folder, arguments.threads, arguments.seconds):
                show(record)
                records.append(record)
    if arguments.json:
        figures = {"machine": describe(), "measured": records}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
