"""Suppression of duplicate boxes, in NumPy alone: the base install has no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.arrays import F32, I64


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
    best = scores.max(axis=1)
    anchor = np.flatnonzero(best >= rule.conf)
    return anchor, scores[anchor].argmax(axis=1), best[anchor]


def _greedy(xyxy: F32, groups: I64, limit: float) -> I64:
    """Indices of the boxes that stay, given boxes (N, 4) in descending order of score."""
    kept: list[Any] = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        overlaps = np.triu(_pairwise_iou(xyxy[members]) > limit, k=1)
        alive = np.ones(len(members), np.bool_)
        for row in np.flatnonzero(overlaps.any(axis=1)):
            if alive[row]:
                alive &= ~overlaps[row]
        kept.append(members[alive])
    return np.sort(np.concatenate(kept)) if kept else np.empty(0, np.int64)


def _pairwise_iou(xyxy: F32) -> F32:
    """(N, 4) -> (N, N) IoU in float32; empty boxes overlap nothing."""
    x1, y1, x2, y2 = xyxy.T
    area = (x2 - x1) * (y2 - y1)
    width = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
    height = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
    overlap = np.maximum(width, 0) * np.maximum(height, 0)
    union = area[:, None] + area - overlap
    ious: F32 = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return ious
