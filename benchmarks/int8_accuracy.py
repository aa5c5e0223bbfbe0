"""What INT8 costs in average precision, by calibrator, on two engines from the same file.

    python -m benchmarks.int8_accuracy --data FOLDER [--model yolo_nas_n] [--methods mse ...]
        [--files yolo_nas_n_int8 ...] [--pictures 200] [--engines onnxruntime openvino]
        [--quantize-predictions] [--json FILE]

The FP32 model on ONNX Runtime is the reference. Every INT8 file is calibrated on FOLDER's split
train and evaluated on its split val, each class on pictures that label it. Two engines agree on a
detection that scores `LEAST_SCORE` on one of them when the other has a box of the same class over
it, by an IoU of at least `LEAST_IOU`.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.machine import describe
from detectors.base import Engine
from detectors.engines.open import open_engine
from detectors.engines.options import EngineChoice, EngineOptions
from detectors.evaluation import Found, Metrics, Truth, evaluate, find
from detectors.quantize.calibrate import METHODS, Method
from detectors.quantize.post_training import (
    FLOAT_PARTS,
    Calibration,
    calibrated,
    clipped,
    quantized,
)
from detectors.quantize.sqnr import weakest
from detectors.training.data import DataFault, read_dataset
from detectors.yolo_nas.detector import Description, resolve
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32, F64
from pipeline.core.boxes import iou_matrix

LEAST_SCORE, LEAST_IOU = 0.25, 0.95
DROP_POINTS, AGREEMENT = 0.5, 0.99
ENGINES: tuple[EngineChoice, ...] = ("onnxruntime", "openvino")


@dataclass(frozen=True, slots=True)
class OnEngine:
    """A model for `detectors.evaluation.find`."""

    engine: Engine
    processing: Processing

    @property
    def network(self) -> Callable[[F32], tuple[F32, F32]]:
        """Images to boxes and scores."""

        def run(images: F32) -> tuple[F32, F32]:
            boxes, scores = self.engine.run(images)
            return boxes, scores

        return run


class Judge:
    """Runs model files on the pictures of a split, and compares with the first one's score."""

    def __init__(self, data: Path, class_names: Sequence[str], threads: int) -> None:
        self._pictures = read_dataset(data, "val").selected(class_names).pictures
        self._names, self._threads = class_names, threads

    def found(self, path: Path, engine: EngineChoice) -> list[Found]:
        """What the file finds in each picture on that engine."""
        with closing(open_engine(path, EngineOptions(engine=engine, threads=self._threads))) as one:
            model = OnEngine(one, Description.read(one.metadata, path.name).processing)
            faults: list[DataFault] = []
            found = [boxes for _, boxes in find(model, self._pictures, faults)]
        if faults:
            raise SystemExit(f"a picture cannot be read: {faults[0]}")
        return found

    def metrics(self, found: Sequence[Found]) -> Metrics:
        """Its average precision."""
        truths = [Truth.of(picture) for picture in self._pictures]
        return evaluate(found, truths, len(self._names))

    def row(self, found: Sequence[Found], fp32: float | None = None) -> dict[str, Any]:
        """Figures for JSON, with the drop from `fp32` (AP50:95, 0 to 1) in points."""
        metrics = self.metrics(found)
        row = metrics.named(self._names)
        if fp32 is not None:
            row["drop_points"] = round((fp32 - metrics.map50_95) * 100, 3)
        return row


def agreement(one: Sequence[Found], other: Sequence[Found]) -> dict[str, Any]:
    """How many of the detections of both, from `LEAST_SCORE` on, the other one has too."""
    pairs = list(zip(one, other, strict=True))
    best = np.concatenate([_best(*pair) for a, b in pairs for pair in ((a, b), (b, a))])
    matched = best[:, 0] >= LEAST_IOU
    return {
        "detections": len(best),
        "matched": int(matched.sum()),
        "share": round(float(matched.mean()), 5),
        "median_iou": round(float(np.median(best[:, 0])), 5),
        "largest_score_gap_of_matched": round(float(best[matched, 1].max(initial=0)), 4),
    }


def _best(mine: Found, theirs: Found) -> F64:
    """(N, 2) for my N detections: the largest IoU with one of theirs of the same class, and how
    far its score is off."""
    sure = mine.score >= LEAST_SCORE
    ious = iou_matrix(mine.xyxy[sure].astype(np.float64), theirs.xyxy.astype(np.float64))
    ious[mine.class_id[sure][:, None] != theirs.class_id] = 0
    result = np.zeros((int(sure.sum()), 2))
    if ious.size:
        at = ious.argmax(axis=1)
        result[:, 0] = ious.max(axis=1)
        result[:, 1] = np.abs(mine.score[sure] - theirs.score[at])
    return result


def model_file(calibration: Calibration, method: Method, parts: Sequence[str], out: Path) -> Path:
    """Quantize as `eyrie model quantize` does, from pictures shown once."""
    chosen = clipped(calibration, method)
    names = chosen.graph.layer_names()
    skip = {name for name in names if any(part in name for part in parts)}
    left = weakest(chosen.graph, chosen.ranges, chosen.samples, skip=skip)
    onnx.save(quantized(chosen, left), out)
    return out


def measure(arguments: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """The FP32 row, then one for each calibrator."""
    source = resolve(arguments.model)
    calibration = calibrated(
        source, str(arguments.data), pictures=arguments.pictures, seed=arguments.seed
    )
    judge = Judge(arguments.data, calibration.processing.class_names, arguments.threads)
    reference = judge.found(source, "onnxruntime")
    fp32 = judge.metrics(reference).map50_95
    yield {"method": "fp32", "onnxruntime": judge.row(reference)}
    parts = () if arguments.quantize_predictions else FLOAT_PARTS
    paths = {name: resolve(name) for name in arguments.files}
    for method in arguments.methods:
        paths[method] = model_file(calibration, method, parts, folder / f"{method}.onnx")
    for name, path in paths.items():
        found = {engine: judge.found(path, engine) for engine in arguments.engines}
        rows = {engine: judge.row(boxes, fp32) for engine, boxes in found.items()}
        both = agreement(*found.values()) if len(found) == len(ENGINES) else None
        yield {"method": name, **rows, "agreement": both}


def meets(row: dict[str, Any]) -> bool:
    """Whether a calibrator keeps the accuracy on every engine, and the engines agree."""
    drops = [row[engine]["drop_points"] for engine in ENGINES if engine in row]
    both = row["agreement"]
    return max(drops) <= DROP_POINTS and (both is None or both["share"] >= AGREEMENT)


def show(row: dict[str, Any]) -> None:
    """One row on standard output."""
    for engine in ENGINES:
        if engine in row:
            told = row[engine]
            drop = f", {told['drop_points']:+.2f} points lost" if "drop_points" in told else ""
            points = f"AP {told['map50_95'] * 100:.2f}, AP50 {told['map50'] * 100:.2f}"
            print(f"{row['method']:10} {engine:11} {points}{drop}; AP50 {told['ap50']}", flush=True)
    if row.get("agreement"):
        print(f"{row['method']:10} both engines: {row['agreement']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Average precision of INT8 against FP32.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="yolo_nas_n")
    parser.add_argument("--files", nargs="*", default=["yolo_nas_n_int8"])
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--quantize-predictions", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(arguments, Path(folder)):
            show(row)
            rows.append(row if row["method"] == "fp32" else row | {"meets": meets(row)})
            if arguments.json:
                write(arguments, rows)


def write(arguments: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> None:
    """The rows so far, with what they were measured with."""
    figures = {
        "machine": describe(),
        "model": arguments.model,
        "data": arguments.data.name,
        "calibration": {"pictures": arguments.pictures, "seed": arguments.seed},
        "predictions": "int8" if arguments.quantize_predictions else "fp32",
        "bars": {"drop_points": DROP_POINTS, "agreement": AGREEMENT},
        "rows": rows,
    }
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
