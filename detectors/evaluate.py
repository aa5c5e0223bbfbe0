"""COCO mean average precision, in NumPy, for data whose pictures do not label every class.

A class is evaluated only on the pictures that label it. Otherwise as COCO does it: at most 100
boxes per picture, ten IoU thresholds, precision made monotone and read at 101 recall points.

`python -m detectors.evaluate MODEL --data FOLDER` measures a model file on a folder's val split.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors.yolo_nas.postprocess import Suppression
from pipeline.core.arrays import F32, F64, I8, I64, Bool
from pipeline.core.boxes import iou_matrix

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
MAX_PER_PICTURE = 100
EVALUATION_RULE = Suppression(conf=0.01, iou=0.65, top_k=1000)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is in a picture: boxes (M, 4) xyxy, class_id (M,), and the classes it labels at all.
    Where `ignore` (M,) is set, a box need not be found, and finding it is no mistake."""

    xyxy: F32
    class_id: I64
    labelled: tuple[int, ...]
    ignore: Bool | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector found in it: boxes (N, 4) xyxy, score (N,), class_id (N,)."""

    xyxy: F32
    score: F32
    class_id: I64


@dataclass(frozen=True, slots=True)
class Metrics:
    """Average precision per class; nan for a class without a box in the pictures that label it."""

    ap50: F64
    ap50_95: F64

    @property
    def map50(self) -> float:
        """Mean over the classes at IoU 0.5."""
        return float(np.nanmean(self.ap50))

    @property
    def map50_95(self) -> float:
        """Mean over the classes and the IoU thresholds 0.50, 0.55 ... 0.95."""
        return float(np.nanmean(self.ap50_95))

    def named(self, class_names: Sequence[str]) -> dict[str, object]:
        """Rounded figures for logs and reports."""
        ap50 = {n: round(float(v), 4) for n, v in zip(class_names, self.ap50, strict=True)}
        return {"map50": round(self.map50, 4), "map50_95": round(self.map50_95, 4), "ap50": ap50}


def evaluate(found: Sequence[Found], truths: Sequence[Truth], classes: int) -> Metrics:
    """Metrics over pictures; `found[i]` belongs to `truths[i]`."""
    per_class = np.array([_average_precision(found, truths, c) for c in range(classes)])
    return Metrics(per_class[:, 0], per_class.mean(axis=1))


def _average_precision(found: Sequence[Found], truths: Sequence[Truth], class_id: int) -> F64:
    """(10,) average precision of one class at each IoU threshold."""
    scores, hits, boxes = [], [], 0
    for prediction, truth in zip(found, truths, strict=True):
        if class_id not in truth.labelled:
            continue
        same = truth.class_id == class_id
        ignore = np.zeros(len(same), np.bool_) if truth.ignore is None else truth.ignore
        wanted, ignored = truth.xyxy[same & ~ignore], truth.xyxy[same & ignore]
        mine = np.flatnonzero(prediction.class_id == class_id)
        mine = mine[np.argsort(-prediction.score[mine], kind="stable")][:MAX_PER_PICTURE]
        boxes += len(wanted)
        scores.append(prediction.score[mine])
        hits.append(_verdicts(prediction.xyxy[mine], wanted, ignored))
    if boxes == 0:
        return np.full(len(IOU_THRESHOLDS), np.nan)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return _area_under(np.concatenate(hits, axis=1)[:, order], boxes)


def _verdicts(xyxy: F32, wanted: F32, ignored: F32) -> I8:
    """(10, N) verdicts on boxes in descending order of score: 1 hit, 0 mistake, -1 no matter."""
    verdicts = _matches(xyxy, wanted).astype(np.int8)
    if len(xyxy) and len(ignored):
        near = _ious(xyxy, ignored).max(axis=1) >= IOU_THRESHOLDS[:, None]
        verdicts[(verdicts == 0) & near] = -1
    return verdicts


def _matches(xyxy: F32, wanted: F32) -> Bool:
    """(10, N) hits: box after box takes the free truth it overlaps most, if by the threshold."""
    hits = np.zeros((len(IOU_THRESHOLDS), len(xyxy)), np.bool_)
    if len(xyxy) == 0 or len(wanted) == 0:
        return hits
    ious = _ious(xyxy, wanted)
    for row, threshold in zip(hits, IOU_THRESHOLDS, strict=True):
        free = np.ones(len(wanted), np.bool_)
        for n in np.flatnonzero(ious.max(axis=1) >= threshold):
            best = int(np.where(free, ious[n], -1.0).argmax())
            if free[best] and ious[n, best] >= threshold:
                free[best] = False
                row[n] = True
    return hits


def _ious(a: F32, b: F32) -> F64:
    """In double precision: a threshold is met or not by less than float32 tells."""
    return iou_matrix(a.astype(np.float64), b.astype(np.float64))


def _area_under(verdicts: I8, boxes: int) -> F64:
    """Mean precision at the 101 recall points; verdicts (10, N) in descending order of score."""
    result = np.zeros(len(verdicts))
    if verdicts.shape[1] == 0:
        return result
    true = (verdicts > 0).cumsum(axis=1)
    recall = true / boxes
    precision = true / np.maximum((verdicts >= 0).cumsum(axis=1), 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    for n, (r, p) in enumerate(zip(recall, envelope, strict=True)):
        at = np.searchsorted(r, RECALL_POINTS, side="left")
        result[n] = np.where(at < len(p), p[np.minimum(at, len(p) - 1)], 0.0).mean()
    return result


def evaluate_model(source: Path, folder: Path, split: str = "val") -> dict[str, object]:
    """Metrics of an .onnx or .pth file on one split of a folder with an index, ready for JSON."""
    from detectors.training.data import read_image, read_index
    from detectors.yolo_nas.predict import YoloNAS

    model = YoloNAS.load(source)
    model.rule = EVALUATION_RULE
    pictures = read_index(folder, split)
    found = []
    for picture in pictures:
        boxes = model.predict(read_image(picture.path)).prediction
        found.append(Found(boxes.bboxes_xyxy, boxes.confidence, boxes.labels))
    truths = [Truth(p.xyxy, p.class_id, p.labelled) for p in pictures]
    metrics = evaluate(found, truths, len(model.class_names))
    return {"model": source.name, "pictures": len(pictures)} | metrics.named(model.class_names)


def main() -> None:
    """Evaluate as the command line says; writes one JSON object to standard output."""
    parser = argparse.ArgumentParser(prog="python -m detectors.evaluate", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    args = parser.parse_args()
    json.dump(evaluate_model(args.model, args.data, args.split), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
