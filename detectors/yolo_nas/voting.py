"""Boxes refined by those that suppression removed, in NumPy alone.

A network predicts an object from many places at once. Their mean is truer than the best of them,
and an object that many places agree on is likelier to be there than one that a single place sees.
Box voting after Gidaris and Komodakis, ICCV 2015; the support of a score is our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, F64, I64
from pipeline.core.boxes import area

USUAL_SUPPORT = 11.0  # what a clear object 60 px wide and high has: its score stays where it is
LEAST_SHARE = 0.2
NEAR = np.float32(0.3)  # of a kept box's sides: whoever's middle is further off has no say
ROUNDS = 2  # from wherever in a heap one starts, the second mean is nearly the same
LARGEST_GAIN = 1.3


@dataclass(frozen=True, slots=True)
class Voting:
    """How much the removed candidates have to say.

    A candidate votes for a kept box when their IoU is greater than `iou` and its score for the kept
    one's class at least a fifth of the kept score. Boxes become the mean of the votes, weighted by
    the score to the power `sharpness`, and then once more of what agrees with that mean. Scores are
    multiplied by (sum of the votes' scores / score / 11) ** `support`: at most by 1.3, and
    never above 1; 0 leaves them as they are.

    Raises ValueError for values out of range.
    """

    iou: float = 0.65
    sharpness: float = 3.0
    support: float = 0.2

    def __post_init__(self) -> None:
        for name, value, most in (
            ("iou", self.iou, 1.0), ("sharpness", self.sharpness, 10.0),
            ("support", self.support, 1 / 3),
        ):  # fmt: skip
            if not 0 <= value <= most:
                raise ValueError(f"voting: {name} must be from 0 to {most:.2g}, got {value}")


def vote(
    kept: tuple[F32, F32, I64], boxes: F32, scores: F32, voting: Voting
) -> tuple[F32, F32, I64]:
    """The kept boxes of one image, as `postprocess.suppress` gives them from `boxes` (A, 4) and
    `scores` (A, C), refined and in the order of their new scores. Some may come to overlap."""
    xyxy, score, class_id = kept
    if not len(score):
        return kept
    votes = _Votes.cast(kept, boxes, scores, voting)
    support = votes.of(votes.score, xyxy) / score
    for _ in range(ROUNDS):
        xyxy = votes.mean(xyxy)
    gain = np.minimum((np.maximum(support, 1) / USUAL_SUPPORT) ** voting.support, LARGEST_GAIN)
    raised = np.minimum(score * gain, 1).astype(np.float32)
    order = np.argsort(-raised, kind="stable")
    return xyxy[order], raised[order], class_id[order]


@dataclass(frozen=True, slots=True)
class _Votes:
    """P pairs of a kept box, `row` (P,), and a box (P, 4) that may vote for it, with its score."""

    row: I64
    xyxy: F32
    score: F64
    voting: Voting

    @classmethod
    def cast(cls, kept: tuple[F32, F32, I64], boxes: F32, scores: F32, voting: Voting) -> _Votes:
        xyxy, score, class_id = kept
        floors = np.float32(LEAST_SHARE) * score
        voters = np.flatnonzero(scores.max(axis=1) >= floors.min())
        likely, others = scores[voters].T[class_id], boxes[voters]
        may = likely >= floors[:, None]
        for low, high in ((0, 2), (1, 3)):
            middle, reach = xyxy[:, low] + xyxy[:, high], xyxy[:, high] - xyxy[:, low]
            apart = np.abs(others[:, low] + others[:, high] - middle[:, None])
            may &= apart < (2 * NEAR * reach)[:, None]
        row, column = np.nonzero(may)
        return cls(row, others[column], likely[row, column].astype(np.float64), voting)

    def of(self, weight: F64, xyxy: F32) -> F64:
        """(K,) the weights (P,) of all that agree with each of the boxes (K, 4), summed."""
        agreeing = weight * (_pair_iou(xyxy[self.row], self.xyxy) > self.voting.iou)
        return np.bincount(self.row, agreeing, minlength=len(xyxy)).astype(np.float64)

    def mean(self, xyxy: F32) -> F32:
        """(K, 4) the weighted mean of those that agree with each box; itself where none does, as
        with an empty box, which does not even overlap itself."""
        agreeing = _pair_iou(xyxy[self.row], self.xyxy) > self.voting.iou
        weight = self.score**self.voting.sharpness * agreeing
        total = np.bincount(self.row, weight, minlength=len(xyxy))
        sums = [np.bincount(self.row, weight * side, minlength=len(xyxy)) for side in self.xyxy.T]
        means = np.stack(sums, axis=1) / np.where(total > 0, total, 1)[:, None]
        refined: F32 = np.where(total[:, None] > 0, means, xyxy).astype(np.float32)
        return refined


def _pair_iou(a: F32, b: F32) -> F32:
    """(P, 4), (P, 4) -> (P,) IoU of each pair; empty boxes overlap nothing."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    union = area(a) + area(b) - shared
    ious: F32 = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ious
