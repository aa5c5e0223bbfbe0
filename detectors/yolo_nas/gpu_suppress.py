"""Suppression of duplicate boxes on a GPU, a batch at a time; the same rule as `postprocess`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detectors.yolo_nas.postprocess import Suppression

if TYPE_CHECKING:
    import torch

    Kept = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    Candidates = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def suppress_batch(boxes: torch.Tensor, scores: torch.Tensor, rule: Suppression) -> list[Kept]:
    """Non-maximum suppression of each image of a batch, as `postprocess.suppress`.

    boxes (B, A, 4) xyxy, scores (B, A, C) of one device -> for each image xyxy f32 (N, 4), score
    f32 (N,), class_id i64 (N,), by score, on the CPU. Waits for the device twice or more: for the
    number of candidates, while boxes still fall, and for the result, in one copy.
    """
    import torch

    xyxy, score, class_id, valid = _candidates(boxes, scores, rule)
    overlaps = (_pairwise_iou(xyxy) > rule.iou).triu_(diagonal=1)
    if not rule.class_agnostic:
        overlaps &= class_id[:, :, None] == class_id[:, None, :]
    kept = _greedy(overlaps, valid)
    kept &= kept.cumsum(1) <= rule.max_boxes
    columns = (xyxy, score[..., None], class_id[..., None].float(), kept[..., None].float())
    packed = torch.cat(columns, -1).cpu()
    return [_unpack(image) for image in packed]


def _candidates(boxes: torch.Tensor, scores: torch.Tensor, rule: Suppression) -> Candidates:
    """The `top_k` best of each image in descending order: xyxy (B, K, 4), score, class and whether
    it is a candidate at all (B, K). Of equal scores the earlier anchor comes first."""
    import torch

    classes = scores.shape[2]
    if rule.multi_label:
        value = scores.flatten(1)
        valid = value > rule.conf
        class_of = None
    else:
        value, class_of = scores.max(2)
        valid = value >= rule.conf
    width = min(int(valid.sum(1).max()), rule.top_k)
    ranked = torch.where(valid, value, -torch.inf).sort(stable=True, dim=1, descending=True)
    score, place = ranked.values[:, :width], ranked.indices[:, :width]
    if class_of is None:
        anchor, class_id = place // classes, place % classes
    else:
        anchor, class_id = place, class_of.gather(1, place)
    xyxy = boxes.gather(1, anchor[..., None].expand(-1, -1, 4))
    return xyxy, score, class_id, valid.gather(1, place)


def _greedy(overlaps: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Which of K boxes, in descending order, stay: (B, K) bool.

    `overlaps` (B, K, K) says which box would fall by which better one. A box stays when none that
    stays is over it; from the best down each round settles one more box at least, and mostly all.
    """
    import torch

    kept = valid
    while True:
        again = valid & ~(overlaps & kept[:, :, None]).any(1)
        if torch.equal(again, kept):
            return again
        kept = again


def _pairwise_iou(xyxy: torch.Tensor) -> torch.Tensor:
    """(B, K, 4) -> (B, K, K) IoU in float32; empty boxes overlap nothing."""
    import torch

    low, high = xyxy[..., :2], xyxy[..., 2:]
    area = (high - low).prod(-1)
    sides = torch.minimum(high[:, :, None], high[:, None]) - torch.maximum(
        low[:, :, None], low[:, None]
    )
    overlap = sides.clamp_(min=0).prod(-1)
    union = area[:, :, None] + area[:, None] - overlap
    return torch.where(union > 0, overlap / union, 0)


def _unpack(image: torch.Tensor) -> Kept:
    rows = image[image[:, 6] > 0]
    return rows[:, :4], rows[:, 4], rows[:, 5].long()
