"""COCO mean average precision, in NumPy alone: quick enough for the training loop.

A class is evaluated only on the pictures that label it. Otherwise as COCO does it: at most 100
boxes per picture, ten IoU thresholds, precision made monotone and read at 101 recall points; a box
on a crowd is no mistake. Agrees with pycocotools, which `detectors.evaluation.coco` asks for more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detectors.yolo_nas.postprocess import Suppression
from pipeline.core.arrays import F32, F64, I8, I64, Bool
from pipeline.core.boxes import area, iou_matrix

if TYPE_CHECKING:
    from detectors.training.data.dataset import Picture

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
MAX_PER_PICTURE = 100
EVALUATION_RULE = Suppression(conf=0.01, iou=0.65, top_k=1000)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is in a picture: boxes (M, 4) xyxy, class_id (M,), and the classes it labels at all.
    Where `ignore` (M,) is set, a box need not be found, and finding it is no mistake. Where `crowd`
    (M,) is set, that also holds for anything that lies mostly within it."""

    xyxy: F32
    class_id: I64
    labelled: tuple[int, ...]
    ignore: Bool | None = None
    crowd: Bool | None = None

    @classmethod
    def of(cls, picture: Picture) -> Truth:
        """What a data set says of a picture."""
        return cls(picture.xyxy, picture.class_id, picture.labelled, crowd=picture.crowd)


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
        """Mean over the classes at IoU 0.5; nan when none has a box."""
        return _mean(self.ap50)

    @property
    def map50_95(self) -> float:
        """Mean over the classes and the IoU thresholds 0.50, 0.55 ... 0.95."""
        return _mean(self.ap50_95)

    def named(self, class_names: Sequence[str]) -> dict[str, object]:
        """Rounded figures for logs and reports."""
        ap50 = {n: round(float(v), 4) for n, v in zip(class_names, self.ap50, strict=True)}
        return {"map50": round(self.map50, 4), "map50_95": round(self.map50_95, 4), "ap50": ap50}


def _mean(per_class: F64) -> float:
    there = per_class[np.isfinite(per_class)]
    return float(there.mean()) if len(there) else float("nan")


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
        ignore, crowd = (_flags(flags, len(same)) for flags in (truth.ignore, truth.crowd))
        wanted = truth.xyxy[same & ~ignore & ~crowd]
        mine = np.flatnonzero(prediction.class_id == class_id)
        mine = mine[np.argsort(-prediction.score[mine], kind="stable")][:MAX_PER_PICTURE]
        boxes += len(wanted)
        scores.append(prediction.score[mine])
        verdicts = _matches(prediction.xyxy[mine], wanted).astype(np.int8)
        _excuse(verdicts, _ious(prediction.xyxy[mine], truth.xyxy[same & ignore]))
        _excuse(verdicts, _shares_within(prediction.xyxy[mine], truth.xyxy[same & crowd]))
        hits.append(verdicts)
    if boxes == 0:
        return np.full(len(IOU_THRESHOLDS), np.nan)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return _area_under(np.concatenate(hits, axis=1)[:, order], boxes)


def _flags(flags: Bool | None, count: int) -> Bool:
    return np.zeros(count, np.bool_) if flags is None else flags


def _excuse(verdicts: I8, overlaps: F64) -> None:
    """Change verdicts (10, N), 1 hit, 0 mistake, -1 no matter: a mistake is none where its overlap
    (N, M) with something ignored is large enough."""
    if overlaps.size:
        near = overlaps.max(axis=1) >= IOU_THRESHOLDS[:, None]
        verdicts[(verdicts == 0) & near] = -1


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


def _shares_within(a: F32, b: F32) -> F64:
    """(N, M) how much of each box of `a` is within each of `b`."""
    one, other = a.astype(np.float64)[:, None], b.astype(np.float64)[None]
    low, high = np.maximum(one[..., :2], other[..., :2]), np.minimum(one[..., 2:], other[..., 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    whole = np.broadcast_to(area(a.astype(np.float64))[:, None], shared.shape)
    shares: F64 = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return shares


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
