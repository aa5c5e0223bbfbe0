"""Which anchor learns which box.

Task-aligned assignment after Feng et al., "TOOD", arXiv 2108.07755; ATSS after Zhang et al.,
arXiv 1912.02424. Ground truths of a whole batch lie in one flat list of G rows, so that a crowded
picture costs the others nothing: intermediates are (G, A), never (B, padded, A).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

EPS = 1e-9


@dataclass(frozen=True, slots=True)
class Targets:
    """The boxes of a batch, picture by picture: rows are sorted by `image`."""

    image: Tensor
    """(G,) i64, index of the picture in the batch."""
    class_id: Tensor
    """(G,) i64."""
    xyxy: Tensor
    """(G, 4) f32, pixels of the network's input."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What each of the B x A anchors should predict."""

    labels: Tensor
    """(B, A) i64 class; the number of classes = background."""
    boxes: Tensor
    """(B, A, 4) xyxy pixels; zeros at the background."""
    scores: Tensor
    """(B, A) soft score in [0, 1]; 0 at the background."""


@dataclass(frozen=True, slots=True)
class TaskAligned:
    """The `topk` anchors inside each box with the highest score^alpha * IoU^beta.

    `drop_hopeless` leaves out boxes for which even the best anchor's metric is <= 1e-9. Sides
    shorter than `least_px` count as that long when anchors are looked for inside: a box smaller
    than a stride may hold none, and would be taught as background.
    """

    topk: int = 13
    alpha: float = 1.0
    beta: float = 6.0
    drop_hopeless: bool = False
    least_px: float = 0.0

    @torch.no_grad()
    def __call__(
        self, scores: Tensor, boxes: Tensor, points: Tensor, targets: Targets
    ) -> Assignment:
        """Scores (B, A, C), decoded boxes (B, A, 4), anchor points (A, 2) pixels -> Assignment."""
        batch, anchors, classes = scores.shape
        if len(targets.image) == 0:
            return _nothing(batch, anchors, classes, boxes)
        ious = iou(targets.xyxy[:, None], boxes[targets.image])
        score = scores.transpose(1, 2)[targets.image, targets.class_id]
        metric = score.pow(self.alpha) * ious.pow(self.beta)
        inside = contains(widened(targets.xyxy, self.least_px), points)
        top, index = (metric * inside).topk(min(self.topk, anchors), dim=1)
        chosen = torch.zeros_like(inside).scatter_(1, index, True) & inside
        if self.drop_hopeless:
            chosen &= top[:, :1] > EPS
        chosen = resolve(chosen, ious, targets.image, batch)
        metric = metric * chosen
        best_iou = (ious * chosen).amax(1, keepdim=True)
        soft = metric / (metric.amax(1, keepdim=True) + EPS) * best_iou
        return _assignment(chosen, soft, targets, batch, classes)


@dataclass(frozen=True, slots=True)
class ATSS:
    """The `topk` nearest anchors per level whose IoU exceeds mean + deviation of the candidates."""

    topk: int = 9

    @torch.no_grad()
    def __call__(
        self,
        anchor_boxes: Tensor,
        anchors_per_level: list[int],
        boxes: Tensor,
        classes: int,
        targets: Targets,
    ) -> Assignment:
        """Anchor boxes (A, 4), decoded boxes (B, A, 4) -> Assignment; score = IoU of the boxes."""
        batch, anchors = boxes.shape[:2]
        if len(targets.image) == 0:
            return _nothing(batch, anchors, classes, boxes)
        points = (anchor_boxes[:, :2] + anchor_boxes[:, 2:]) / 2
        ious = iou(targets.xyxy[:, None], anchor_boxes[None])
        candidates = self._nearest(points, anchors_per_level, targets.xyxy)
        of_candidates = ious.gather(1, candidates)
        threshold = of_candidates.mean(1, keepdim=True) + of_candidates.std(1, keepdim=True)
        chosen = torch.zeros_like(ious, dtype=torch.bool).scatter_(1, candidates, True)
        chosen &= (ious > threshold) & contains(targets.xyxy, points)
        chosen = resolve(chosen, ious, targets.image, batch)
        soft = iou(targets.xyxy[:, None], boxes[targets.image]) * chosen
        return _assignment(chosen, soft, targets, batch, classes)

    def _nearest(self, points: Tensor, per_level: list[int], xyxy: Tensor) -> Tensor:
        """(G, levels * topk) indices of the anchors nearest to each box's centre."""
        centres = (xyxy[:, :2] + xyxy[:, 2:]) / 2
        distance = (centres[:, None] - points[None]).norm(dim=-1)
        picks, start = [], 0
        for level in distance.split(per_level, dim=1):
            nearest = level.topk(min(self.topk, level.shape[1]), dim=1, largest=False).indices
            picks.append(nearest + start)
            start += level.shape[1]
        return torch.cat(picks, 1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of xyxy boxes, broadcast over the leading dimensions: (..., 4) x (..., 4) -> (...)."""
    size = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(0)
    overlap = size[..., 0] * size[..., 1]
    return overlap / (area(a) + area(b) - overlap + EPS)


def area(xyxy: Tensor) -> Tensor:
    """Areas (...) of boxes (..., 4); inverted boxes count as empty."""
    size = (xyxy[..., 2:] - xyxy[..., :2]).clamp(0)
    return size[..., 0] * size[..., 1]


def widened(xyxy: Tensor, least: float) -> Tensor:
    """Boxes (G, 4) with sides shorter than `least` stretched to it about their centres."""
    missing = (least - (xyxy[:, 2:] - xyxy[:, :2])).clamp(min=0) / 2
    return torch.cat([xyxy[:, :2] - missing, xyxy[:, 2:] + missing], 1)


def contains(xyxy: Tensor, points: Tensor) -> Tensor:
    """(G, A) bool: the point lies strictly inside the box."""
    near = points[None] - xyxy[:, None, :2]
    far = xyxy[:, None, 2:] - points[None]
    return torch.minimum(near.amin(-1), far.amin(-1)) > EPS


def resolve(chosen: Tensor, ious: Tensor, image: Tensor, batch: int) -> Tensor:
    """Leave each anchor to one box: where several chose it, the one of its picture nearest by IoU.

    chosen (G, A) bool, ious (G, A), image (G,) sorted. The winner need not be among the choosers.
    """
    votes = torch.zeros(batch, chosen.shape[1], dtype=torch.int32, device=chosen.device)
    votes.index_add_(0, image, chosen.int())
    pictures, anchors = (votes > 1).nonzero(as_tuple=True)
    if len(pictures) == 0:
        return chosen
    counts = torch.bincount(image, minlength=batch)
    first = counts.cumsum(0) - counts
    rank = torch.arange(int(counts.max()), device=chosen.device)
    rows = (first[pictures, None] + rank).clamp(max=len(image) - 1)
    overlap = ious[rows, anchors[:, None]]
    winner = overlap.masked_fill(rank >= counts[pictures, None], -1.0).argmax(1)
    chosen = chosen & ~(votes > 1)[image]
    chosen[first[pictures] + winner, anchors] = True
    return chosen


def _assignment(
    chosen: Tensor, soft: Tensor, targets: Targets, batch: int, classes: int
) -> Assignment:
    """Spread the (G, A) choice, at most one box per anchor and picture, over the anchors."""
    rows, anchors = chosen.nonzero(as_tuple=True)
    made = _nothing(batch, chosen.shape[1], classes, soft)
    pictures = targets.image[rows]
    made.labels[pictures, anchors] = targets.class_id[rows]
    made.boxes[pictures, anchors] = targets.xyxy[rows]
    made.scores[pictures, anchors] = soft[rows, anchors]
    return made


def _nothing(batch: int, anchors: int, classes: int, like: Tensor) -> Assignment:
    labels = torch.full((batch, anchors), classes, dtype=torch.int64, device=like.device)
    return Assignment(labels, like.new_zeros(batch, anchors, 4), like.new_zeros(batch, anchors))
