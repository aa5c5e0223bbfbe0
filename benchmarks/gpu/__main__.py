"""TensorRT on this machine's GPU: builds, checks against ONNX Runtime, times INT8 against FP16.

    python -m benchmarks.gpu [--models FOLDER] [--batches 1,8,32] [--rounds 50] [--cache FOLDER]
        [--json FILE]

Each model is a pair of files, `NAME.onnx` in FP32 and `NAME_int8.onnx`: the bundled
`yolo_nas_n`, and all pairs in the folder. The exit code is 0 when every check holds, 1 when one
does not, 3 when it cannot be run, as without a GPU; see README.md.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.agreement import compare, street
from benchmarks.gpu.timing import time_detector, time_engines
from benchmarks.machine import describe
from detectors.base import Precision
from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.engines.options import EngineOptions
from detectors.engines.tensorrt import TensorRtEngine
from detectors.engines.tensorrt.inspector import int8_share, layers
from detectors.engines.tensorrt.plan import Plan
from detectors.engines.tensorrt.platform import Platform
from detectors.engines.tensorrt.preparation import plan_for
from detectors.yolo_nas.detector import WEIGHTS, Description
from detectors.yolo_nas.gpu.detector import YoloNasCudaDetector
from pipeline.core.arrays import U8
from pipeline.core.errors import EyrieError

LEAST_INT8 = 0.9
LEAST_GAIN = 1.3
GAIN_BATCH = 8
SUFFIX = "_int8"


@dataclass(frozen=True, slots=True)
class Pair:
    """One network as two files."""

    name: str
    floating: Path
    integer: Path


def pairs(folder: Path) -> list[Pair]:
    """All pairs of a folder, by name."""
    found = []
    for integer in sorted(folder.glob(f"*{SUFFIX}.onnx")):
        name = integer.stem.removesuffix(SUFFIX)
        if (floating := folder / f"{name}.onnx").is_file():
            found.append(Pair(name, floating, integer))
    return found


class Subject:
    """A pair on a GPU: engines in INT8 and in FP16, and the reference on the CPU."""

    def __init__(self, pair: Pair, platform: Platform, max_batch: int, cache: Path | None) -> None:
        self.pair = pair
        self.plans: dict[str, Plan] = {}
        self.engines: dict[str, TensorRtEngine] = {}
        given: tuple[tuple[Precision, Path], ...] = (
            ("int8", pair.integer),
            ("fp16", pair.floating),
        )
        for precision, path in given:
            options = EngineOptions(
                engine="tensorrt",
                precision=precision,
                max_batch=max_batch,
                hint="throughput",
                cache=cache,
            )
            self.engines[precision] = TensorRtEngine(path, options, platform)
            self.plans[precision] = plan_for(path, options, platform)
        self.reference = OnnxRuntimeEngine(pair.integer)

    def built(self) -> dict[str, Any]:
        """How the plans were made, and what of the INT8 plan runs in INT8."""
        plan = self.plans["int8"]
        share = int8_share(layers(plan.information), plan.planned_int8)
        return {
            "typing": {precision: one.typing for precision, one in self.plans.items()},
            "plan_bytes": {precision: len(one.engine) for precision, one in self.plans.items()},
            "int8_planned": share.planned,
            "int8_ran": share.ran,
            "int8_share": round(share.value, 4),
            "not_in_int8": list(share.others),
        }

    def agrees(self, images: Sequence[U8]) -> dict[str, Any]:
        """The INT8 plan against ONNX Runtime on the same file."""
        where = self.pair.integer.name
        processing = Description.read(self.reference.metadata, where).processing
        return compare(self.engines["int8"], self.reference, processing, images)

    def close(self) -> None:
        """Free the GPU's memory."""
        for engine in self.engines.values():
            engine.close()
        self.reference.close()


def measure(
    subject: Subject, images: Sequence[U8], batches: Sequence[int], rounds: int
) -> dict[str, Any]:
    """All figures of a pair, and which checks hold; None where there was nothing to check."""
    built = subject.built()
    agreement = subject.agrees(images)
    times = time_engines(subject.engines, batches, rounds)
    whole = YoloNasCudaDetector(subject.engines["int8"], subject.pair.integer)
    gains = {
        batch: round(
            times["fp16", batch]["latency_ms_median"] / times["int8", batch]["latency_ms_median"], 3
        )
        for batch in batches
    }
    large = [gain for batch, gain in gains.items() if batch >= GAIN_BATCH]
    return {
        "built": built,
        "agreement_with_onnxruntime": agreement,
        "engines": {f"{name} batch {batch}": row for (name, batch), row in times.items()},
        "int8_over_fp16": gains,
        "detector_int8": time_detector(whole, images, max(batches), rounds),
        "checks": {
            "int8_share": built["int8_share"] >= LEAST_INT8,
            "agreement": agreement["holds"],
            "int8_gain": max(large) >= LEAST_GAIN if large else None,
        },
    }


def run(
    platform: Platform,
    found: Sequence[Pair],
    images: Sequence[U8],
    batches: Sequence[int],
    rounds: int,
    cache: Path | None,
) -> dict[str, Any]:
    """The whole benchmark on one platform, ready for JSON."""
    import torch

    gpu = {
        "gpu": platform.gpu.name,
        "architecture": platform.gpu.architecture,
        "gpu_memory_mib": platform.gpu.memory_bytes >> 20,
        "tensorrt": platform.version,
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
    }
    figures: dict[str, Any] = {"machine": describe() | gpu, "models": {}}
    for pair in found:
        print(f"{pair.name}: building and measuring", flush=True)
        subject = Subject(pair, platform, max(batches), cache)
        try:
            figures["models"][pair.name] = measure(subject, images, batches, rounds)
        finally:
            subject.close()
        print(json.dumps(figures["models"][pair.name], indent=2), flush=True)
    return figures


def all_hold(figures: dict[str, Any]) -> bool:
    """Whether no check of any model failed."""
    return not any(
        held is False for model in figures["models"].values() for held in model["checks"].values()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark TensorRT on this machine's GPU.")
    parser.add_argument("--models", type=Path, help="a folder of more pairs of files")
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    batches = [int(batch) for batch in arguments.batches.split(",")]
    try:
        platform = Platform.find()
        found = pairs(WEIGHTS) + (pairs(arguments.models) if arguments.models else [])
        figures = run(platform, found, street(), batches, arguments.rounds, arguments.cache)
    except EyrieError as error:
        sys.exit(_refused(error))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if all_hold(figures) else 1)


def _refused(error: EyrieError) -> int:
    print(f"benchmarks.gpu: {error}", file=sys.stderr)
    return 3


if __name__ == "__main__":
    main()
