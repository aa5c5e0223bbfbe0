"""Suppression of duplicate boxes, in NumPy alone: the base install has no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.yolo_nas.pairs import Columns, near
from pipeline.core.arrays import F32, I64

FEW_CLASSES: Final = 16
"""Up to so many, NumPy is faster by class than by anchor."""
LEAST_LIMIT: Final = 0.01
"""Of an IoU; below it, boxes overlap however far their middles are apart."""


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


def suppress(boxes: F32, scores: F32, rule: Suppression | None = None) -> tuple[F32, F32, I64]:
    """Non-maximum suppression of one image.

    boxes (A, 4) xyxy, scores (A, C) -> xyxy f32 (N, 4), score f32 (N,), class_id i64 (N,) by score.
    A box falls when it overlaps a better one of its class, or of any class when `class_agnostic`,
    with an IoU greater than `iou`.
    """
    rule = rule or Suppression()
    anchor, class_id, score = _candidates(scores, rule)
    order = np.argsort(-score, kind="stable")[: rule.top_k]
    xyxy, score, class_id = boxes[anchor[order]], score[order], class_id[order]
    groups = np.zeros_like(class_id) if rule.class_agnostic else class_id
    kept = _greedy(xyxy, groups, rule.iou)[: rule.max_boxes]
    return xyxy[kept], score[kept], class_id[kept]


def thin(kept: tuple[F32, F32, I64], rule: Suppression) -> tuple[F32, F32, I64]:
    """The same of boxes (N, 4), scores (N,) and classes (N,) that come by falling score."""
    xyxy, score, class_id = kept
    groups = np.zeros_like(class_id) if rule.class_agnostic else class_id
    stay = _greedy(xyxy, groups, rule.iou)
    stay = stay[score[stay] > rule.conf] if rule.multi_label else stay[score[stay] >= rule.conf]
    return xyxy[stay], score[stay], class_id[stay]


def _candidates(scores: F32, rule: Suppression) -> tuple[I64, I64, F32]:
    """Anchor, class and score of every candidate."""
    if rule.multi_label:
        flat = scores.ravel()
        found = np.flatnonzero(flat > rule.conf)
        anchor, class_id = np.divmod(found, scores.shape[1])
        return anchor, class_id, flat[found]
    best = best_scores(scores)
    anchor = np.flatnonzero(best >= rule.conf)
    return anchor, scores[anchor].argmax(axis=1), best[anchor]


def _greedy(xyxy: F32, groups: I64, limit: float) -> I64:
    """Indices of the boxes that stay, given boxes (N, 4) in descending order of score.

    In every round, boxes without a better rival stay for good, and theirs fall.
    """
    better, worse = _rivals(Columns.of(xyxy), groups, limit)
    alive = np.ones(len(xyxy), np.bool_)
    while len(better):
        threatened = np.zeros(len(xyxy), np.bool_)
        threatened[worse] = True
        alive[worse[~threatened[better]]] = False
        open_pairs = alive[better] & alive[worse] & threatened[better]
        better, worse = better[open_pairs], worse[open_pairs]
    return np.flatnonzero(alive)


def _rivals(boxes: Columns, groups: I64, limit: float) -> tuple[I64, I64]:
    """(better, worse) of all pairs of one group that overlap by more than `limit`.

    With IoU > t, the shared part is longer than t of either box's length, so the other one is
    shorter than length / t, and the middles are apart by less than
    length * max(1 - t, (1 / t - 1) / 2).
    """
    if limit > LEAST_LIMIT:
        share = max(1 - limit, (1 / limit - 1) / 2)
        better, worse = near(boxes, share, boxes)
    else:
        better, worse = np.divmod(np.arange(len(groups) ** 2), max(len(groups), 1))
    rivals = (better < worse) & (groups[better] == groups[worse])
    better, worse = better[rivals], worse[rivals]
    overlapping = boxes.take(better).iou(boxes.take(worse)) > limit
    return better[overlapping], worse[overlapping]


def best_scores(scores: F32) -> F32:
    """(A, C) scores -> (A,) the best of each anchor."""
    classes = scores.shape[1]
    if not 0 < classes <= FEW_CLASSES:
        most: F32 = scores.max(axis=1)
        return most
    best: F32 = scores[:, 0].copy()
    for class_id in range(1, classes):
        np.maximum(best, scores[:, class_id], out=best)
    return best
