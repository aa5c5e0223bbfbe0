"""What plots show of detections and truths: precision over recall, and what is taken for what.

All at IoU 0.5. As in evaluation, a class counts only on the pictures that label it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors.evaluation.average_precision import Found, Truth
from pipeline.core.arrays import F32, F64, I64, Bool
from pipeline.core.boxes import iou_matrix

IOU = 0.5
CONFIDENT = 0.25


def precision_recall(
    found: Sequence[Found], truths: Sequence[Truth], class_id: int
) -> tuple[F64, F64]:
    """Recall and precision (K,) of one class with every further detection, best score first.

    Both are empty when there is no box of the class to be found.
    """
    scores, right, boxes = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)], 0
    for prediction, truth in zip(found, truths, strict=True):
        if class_id in truth.labelled:
            wanted = truth.xyxy[(truth.class_id == class_id) & ~_excused(truth)]
            mine = prediction.class_id == class_id
            boxes += len(wanted)
            scores.append(prediction.score[mine])
            right.append(matched(prediction.xyxy[mine], prediction.score[mine], wanted) >= 0)
    if boxes == 0:
        return np.zeros(0), np.zeros(0)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    true = np.concatenate(right)[order].cumsum()
    return true / boxes, true / np.arange(1, len(true) + 1)


def confusion(found: Sequence[Found], truths: Sequence[Truth], classes: int) -> I64:
    """(C + 1, C + 1) counts: row = true class, column = class found; the last of each is nothing.

    Only detections that score `CONFIDENT` or more. Boxes are matched whatever their class.
    """
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    for prediction, truth in zip(found, truths, strict=True):
        plain = ~_excused(truth)
        wanted, of_wanted = truth.xyxy[plain], truth.class_id[plain]
        sure = prediction.score >= CONFIDENT
        classes_found = prediction.class_id[sure]
        match = matched(prediction.xyxy[sure], prediction.score[sure], wanted)
        for class_id, to in zip(classes_found, match, strict=True):
            if to >= 0:
                counts[of_wanted[to], class_id] += 1
            elif class_id in truth.labelled:
                counts[classes, class_id] += 1
        missed = np.setdiff1d(np.arange(len(wanted)), match)
        np.add.at(counts[:, classes], of_wanted[missed], 1)
    return counts


def matched(xyxy: F32, score: F32, wanted: F32) -> I64:
    """(N,) place in `wanted` that each box is matched with, -1 for none; best score first, each
    takes the free one that it overlaps most."""
    match = np.full(len(xyxy), -1, np.int64)
    if len(xyxy) == 0 or len(wanted) == 0:
        return match
    overlaps = iou_matrix(xyxy.astype(np.float64), wanted.astype(np.float64))
    for n in np.argsort(-score, kind="stable"):
        best = int(overlaps[n].argmax())
        if overlaps[n, best] >= IOU:
            match[n] = best
            overlaps[:, best] = -1.0
    return match


def _excused(truth: Truth) -> Bool:
    """Which boxes need not be found."""
    excused = np.zeros(len(truth.class_id), np.bool_)
    for flags in (truth.ignore, truth.crowd):
        if flags is not None:
            excused |= flags
    return excused
