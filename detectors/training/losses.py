"""The loss of YOLO-NAS: varifocal classification, GIoU, distribution focal loss.

Varifocal: Zhang et al., arXiv 2008.13367. GIoU: Rezatofighi et al., arXiv 1902.09630.
DFL: Li et al., arXiv 2006.04388.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from detectors.training.assign import ATSS, Assignment, Targets, TaskAligned, area
from detectors.training.distributed import ALONE, Processes
from detectors.yolo_nas.architecture.heads import REG_MAX, RawOutput, decode

GIOU_EPS = 1e-10


@dataclass(frozen=True, slots=True)
class Losses:
    """Weighted terms, each a scalar already divided by the sum of the soft scores.

    `distill` is what a teacher adds; None without one.
    """

    cls: Tensor
    iou: Tensor
    dfl: Tensor
    distill: Tensor | None = None

    @property
    def total(self) -> Tensor:
        total = self.cls + self.iou + self.dfl
        return total if self.distill is None else total + self.distill

    def named(self) -> dict[str, Tensor]:
        """Every term and their sum as `loss`, without gradient."""
        terms = {"cls": self.cls, "iou": self.iou, "dfl": self.dfl, "distill": self.distill}
        there = {name: term.detach() for name, term in terms.items() if term is not None}
        return there | {"loss": self.total.detach()}


@dataclass(frozen=True, slots=True)
class DetectionLoss:
    """RawOutput and Targets -> Losses, computed in float32 whatever the network ran in.

    With several `processes` the mean of their losses is the loss of the whole batch: the soft
    scores of all are summed for the divisor.
    """

    classification: Literal["varifocal", "focal"] = "varifocal"
    assigner: TaskAligned | ATSS = field(default_factory=TaskAligned)
    cls_weight: float = 1.0
    iou_weight: float = 2.5
    dfl_weight: float = 0.5
    processes: Processes = ALONE

    def __call__(self, raw: RawOutput, targets: Targets, labelled: Tensor | None = None) -> Losses:
        """`labelled` (B, C) bool: classes that the picture's annotators marked at all.

        Elsewhere an unmarked object is no mistake, so anchors without a box get no classification
        loss for such a class.
        """
        logits, distances = raw.logits.float(), raw.distances.float()
        assigned = self.assign(logits, distances, raw, targets)
        everywhere = self.processes.sum(assigned.scores.sum())
        divisor = everywhere.clamp(min=1.0) / self.processes.size
        cls = self._classification(logits, assigned, labelled)
        iou, dfl = _regression(distances, raw, assigned)
        return Losses(
            self.cls_weight * cls / divisor,
            self.iou_weight * iou / divisor,
            self.dfl_weight * dfl / divisor,
        )

    @torch.no_grad()
    def assign(
        self, logits: Tensor, distances: Tensor, raw: RawOutput, targets: Targets
    ) -> Assignment:
        """The assignment that the present predictions lead to."""
        boxes = decode(distances, raw.anchor_points, raw.strides, _bins(distances))
        if isinstance(self.assigner, ATSS):
            classes = logits.shape[2]
            return self.assigner(raw.anchor_boxes, raw.anchors_per_level, boxes, classes, targets)
        return self.assigner(logits.sigmoid(), boxes, raw.anchor_points, targets)

    def _classification(
        self, logits: Tensor, assigned: Assignment, labelled: Tensor | None
    ) -> Tensor:
        classes = logits.shape[2]
        one_hot = functional.one_hot(assigned.labels, classes + 1)[..., :classes].to(logits.dtype)
        soft = one_hot * assigned.scores[..., None]
        score = logits.sigmoid()
        if self.classification == "varifocal":
            weight = 0.75 * score.pow(2) * (1 - one_hot) + soft * one_hot
        else:
            weight = (score - soft).pow(2)
        if labelled is not None:
            weight = weight * torch.maximum(labelled[:, None].to(one_hot.dtype), one_hot)
        entropy = functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
        return (entropy * weight).sum()


def _regression(distances: Tensor, raw: RawOutput, assigned: Assignment) -> tuple[Tensor, Tensor]:
    """Sums over the positives of the GIoU and the distribution focal loss, in stride units."""
    classes = raw.logits.shape[2]
    picture, anchor = (assigned.labels < classes).nonzero(as_tuple=True)
    if len(picture) == 0:
        zero = distances.sum() * 0.0
        return zero, zero
    positive = distances[picture, anchor]
    points, strides = raw.anchor_points[anchor], raw.strides[anchor]
    centres, unit = points / strides, torch.ones_like(strides)
    predicted = decode(positive[None], centres, unit, _bins(positive))[0]
    wanted = assigned.boxes[picture, anchor] / strides
    weight = assigned.scores[picture, anchor]
    sides = torch.cat([centres - wanted[:, :2], wanted[:, 2:] - centres], 1)
    iou = ((1 - giou(predicted, wanted)) * weight).sum()
    return iou, (distribution_focal(positive, sides) * weight).sum()


def distribution_focal(distances: Tensor, sides: Tensor) -> Tensor:
    """Bin logits (P, 4 * bins), wanted distances (P, 4) in strides -> (P,) means over the sides."""
    wanted = sides.clamp(0, REG_MAX - 0.01)
    below = wanted.long()
    share_above = wanted - below
    log_p = functional.log_softmax(distances.reshape(-1, 4, REG_MAX + 1), dim=-1)
    at_below = log_p.gather(-1, below[..., None])[..., 0]
    at_above = log_p.gather(-1, below[..., None] + 1)[..., 0]
    return -(at_below * (1 - share_above) + at_above * share_above).mean(-1)


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalized IoU in [-1, 1] of paired xyxy boxes (P, 4)."""
    size = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(0)
    overlap = size[:, 0] * size[:, 1]
    union = area(a) + area(b) - overlap + GIOU_EPS
    hull_size = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    hull = hull_size[:, 0] * hull_size[:, 1] + GIOU_EPS
    return overlap / union - (hull - union) / hull


def _bins(like: Tensor) -> Tensor:
    return torch.arange(REG_MAX + 1, dtype=like.dtype, device=like.device)
