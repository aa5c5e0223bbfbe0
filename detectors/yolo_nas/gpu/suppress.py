"""Suppression of duplicate boxes on a GPU, a batch at a time; the same rules as `postprocess` and
`voting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detectors.yolo_nas.postprocess import Suppression
from detectors.yolo_nas.voting import LARGEST_GAIN, LEAST_SHARE, NEAR, ROUNDS, USUAL_SUPPORT, Voting

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
    return finish_batch(boxes, scores, rule, None)


def finish_batch(
    boxes: torch.Tensor, scores: torch.Tensor, rule: Suppression, voting: Voting | None
) -> list[Kept]:
    """As `Processing.finish`, for each image of a batch; see `suppress_batch`."""
    import torch

    xyxy, score, class_id, kept = _suppressed(_candidates(boxes, scores, rule), rule)
    if voting:
        xyxy, score, class_id, kept = _voted((xyxy, score, class_id, kept), boxes, scores, voting)
        kept &= score > rule.conf if rule.multi_label else score >= rule.conf
        xyxy, score, class_id, kept = _suppressed((xyxy, score, class_id, kept), rule)
    columns = (xyxy, score[..., None], class_id[..., None].float(), kept[..., None].float())
    packed = torch.cat(columns, -1).cpu()
    return [_unpack(image) for image in packed]


def _suppressed(candidates: Candidates, rule: Suppression) -> Candidates:
    """The same, but that only what stays is valid."""
    xyxy, score, class_id, valid = candidates
    overlaps = (_iou(xyxy, xyxy) > rule.iou).triu_(diagonal=1)
    if not rule.class_agnostic:
        overlaps &= class_id[:, :, None] == class_id[:, None, :]
    kept = _greedy(overlaps, valid)
    kept &= kept.cumsum(1) <= rule.max_boxes
    return xyxy, score, class_id, kept


def _voted(
    kept: Candidates, boxes: torch.Tensor, scores: torch.Tensor, voting: Voting
) -> Candidates:
    """As `voting.vote`, for all images; those that are not valid come last, and stay so."""
    import torch

    xyxy, score, class_id, valid = kept
    width = int(valid.sum(1).max()) if valid.numel() else 0
    first = valid.sort(dim=1, descending=True, stable=True).indices[:, :width]
    xyxy = xyxy.gather(1, first[..., None].expand(-1, -1, 4))
    score, class_id, valid = (column.gather(1, first) for column in (score, class_id, valid))
    columns = class_id[:, None, :].expand(-1, scores.shape[1], -1)
    votes = scores.gather(2, columns).transpose(1, 2)
    floors = score * torch.tensor(LEAST_SHARE, dtype=torch.float32)
    may = (votes >= floors[..., None]) & _near(xyxy, boxes)
    votes = torch.where(may, votes, 0).double()
    support = (votes * (_iou(xyxy, boxes) > voting.iou)).sum(2) / score
    for _ in range(ROUNDS):
        weights = votes**voting.sharpness * (_iou(xyxy, boxes) > voting.iou)
        total = weights.sum(2, keepdim=True)
        means = weights @ boxes.double() / torch.where(total > 0, total, 1)
        xyxy = torch.where(total > 0, means, xyxy.double()).float()
    gain = ((support.clamp_(min=1) / USUAL_SUPPORT) ** voting.support).clamp_(max=LARGEST_GAIN)
    raised = torch.where(valid, (score * gain).clamp_(max=1), -torch.inf).float()
    raised, order = raised.sort(dim=1, descending=True, stable=True)
    xyxy = xyxy.gather(1, order[..., None].expand(-1, -1, 4))
    return xyxy, raised, class_id.gather(1, order), valid.gather(1, order)


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


def _iou(some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """(B, K, 4), (B, N, 4) -> (B, K, N) IoU in float32; empty boxes overlap nothing."""
    import torch

    low, high = some[..., :2], some[..., 2:]
    other_low, other_high = others[..., :2], others[..., 2:]
    sides = torch.minimum(high[:, :, None], other_high[:, None])
    sides -= torch.maximum(low[:, :, None], other_low[:, None])
    overlap = sides.clamp_(min=0).prod(-1)
    areas = (high - low).prod(-1)[:, :, None] + (other_high - other_low).prod(-1)[:, None]
    union = areas - overlap
    return torch.where(union > 0, overlap / union, 0)


def _near(some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """(B, K, 4), (B, N, 4) -> (B, K, N) whether the middle of the other is near the box's own."""
    low, high = some[..., :2], some[..., 2:]
    middles = others[..., :2] + others[..., 2:]
    apart = (middles[:, None] - (low + high)[:, :, None]).abs()
    near: torch.Tensor = (apart < (2 * float(NEAR) * (high - low))[:, :, None]).all(-1)
    return near


def _unpack(image: torch.Tensor) -> Kept:
    rows = image[image[:, 6] > 0]
    return rows[:, :4], rows[:, 4], rows[:, 5].long()
