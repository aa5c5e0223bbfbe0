"""Suppression of duplicate boxes, without torch: the base install has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.yolo_nas.greedy import greedy
from pipeline.core.arrays import F32, I64
from pipeline.core.rows import pick

FEW_CLASSES: Final = 16
"""Up to so many, NumPy is faster by steps over all scores than by anchor."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """Which candidates survive; the defaults are those of the public models.

    A candidate is a (box, class) pair scoring above `conf`, or with `multi_label=False` a box with
    its best class scoring `conf` or more. The `top_k` best are considered, `max_boxes` kept.
    Raises ValueError for limits out of range.
    """

    conf: float = 0.25
    iou: float = 0.7
    top_k: int = 1024
    max_boxes: int = 300
    multi_label: bool = True
    class_agnostic: bool = False

    def __post_init__(self) -> None:
        for name, limit in (("conf", self.conf), ("iou", self.iou)):
            if not 0 <= limit <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {limit}")
        for name, count in (("top_k", self.top_k), ("max_boxes", self.max_boxes)):
            if type(count) is not int or count < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}")


def suppress(
    boxes: F32, scores: F32, rule: Suppression | None = None, best: F32 | None = None
) -> tuple[F32, F32, I64]:
    """Non-maximum suppression of one image.

    boxes (A, 4) xyxy, scores (A, C) -> xyxy f32 (N, 4), score f32 (N,), class_id i64 (N,) by score.
    A box falls when it overlaps a better one of its class, or of any class when `class_agnostic`,
    with an IoU greater than `iou`. `best` (A,): `best_scores` of the scores, where it is known.
    """
    rule = rule or Suppression()
    anchor, class_id, score = _candidates(scores, rule, best)
    if not len(anchor):
        return boxes[:0], score, class_id
    order = (-score).argsort(kind="stable")[: rule.top_k]
    anchor, score, class_id = anchor[order], score[order], class_id[order]
    xyxy = pick(boxes, anchor)
    kept = greedy(xyxy, None if rule.class_agnostic else class_id, rule.iou)[: rule.max_boxes]
    return pick(xyxy, kept), score[kept], class_id[kept]


def thin(kept: tuple[F32, F32, I64], rule: Suppression) -> tuple[F32, F32, I64]:
    """The same of boxes (N, 4), scores (N,) and classes (N,) that come by falling score."""
    xyxy, score, class_id = kept
    stay = greedy(xyxy, None if rule.class_agnostic else class_id, rule.iou)
    stay = stay[score[stay] > rule.conf] if rule.multi_label else stay[score[stay] >= rule.conf]
    if len(stay) == len(score):
        return kept
    return pick(xyxy, stay), score[stay], class_id[stay]


def _candidates(scores: F32, rule: Suppression, best: F32 | None) -> tuple[I64, I64, F32]:
    """Anchor, class and score of every candidate."""
    if rule.multi_label:
        flat = scores.ravel()
        found = (flat > rule.conf).nonzero()[0]
        anchor, class_id = np.divmod(found, scores.shape[1])
        return anchor, class_id, flat[found]
    best = best_scores(scores) if best is None else best
    anchor = (best >= rule.conf).nonzero()[0]
    return anchor, pick(scores, anchor).argmax(axis=1), best[anchor]


def best_scores(scores: F32) -> F32:
    """(A, C) scores -> (A,) the best of each anchor."""
    classes = scores.shape[1]
    if not 0 < classes <= FEW_CLASSES:
        most: F32 = scores.max(axis=1)
        return most
    best, covered = scores.ravel(), 1  # the best of so many scores from each place on
    while covered < classes:
        step = min(covered, classes - covered)
        best = np.maximum(best[:-step], best[step:])
        covered += step
    return best[::classes]
