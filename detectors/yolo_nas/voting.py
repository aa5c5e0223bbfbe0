"""Boxes refined by those that suppression removed, in NumPy alone.

A network predicts an object from many places at once. Their mean is truer than the best of them,
and an object that many places agree on is likelier to be there than one that a single place sees.
Box voting after Gidaris and Komodakis, ICCV 2015; the support of a score is our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.yolo_nas.pairs import Columns, near
from detectors.yolo_nas.postprocess import best_scores
from pipeline.core.arrays import F32, F64, I64, Bool

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
    raised = score
    if voting.support > 0:
        support = votes.of(votes.score, xyxy) / score
        gain = np.minimum((np.maximum(support, 1) / USUAL_SUPPORT) ** voting.support, LARGEST_GAIN)
        raised = np.minimum(score * gain, 1).astype(np.float32)
    for _ in range(ROUNDS):
        xyxy = votes.mean(xyxy)
    order = np.argsort(-raised, kind="stable")
    return xyxy[order], raised[order], class_id[order]


@dataclass(frozen=True, slots=True)
class _Votes:
    """P pairs of a kept box, `row` (P,), and a box that may vote for it, with its score and its
    weight in means."""

    row: I64
    boxes: Columns
    score: F64
    weight: F64
    voting: Voting

    @classmethod
    def cast(cls, kept: tuple[F32, F32, I64], boxes: F32, scores: F32, voting: Voting) -> _Votes:
        xyxy, score, class_id = kept
        floors = np.float32(LEAST_SHARE) * score
        voters = np.flatnonzero(best_scores(scores) >= floors.min())
        row, column = _near(Columns.of(xyxy), Columns.of(boxes[voters]))
        likely = scores[voters[column], class_id[row]]
        may = likely >= floors[row]
        weight = likely[may].astype(np.float64)
        others = Columns.of(boxes[voters[column[may]]])
        return cls(row[may], others, weight, weight**voting.sharpness, voting)

    def of(self, weight: F64, xyxy: F32) -> F64:
        """(K,) the weights (P,) of all that agree with each of the boxes (K, 4), summed."""
        weighed = np.bincount(self.row, weight * self._agree(xyxy), minlength=len(xyxy))
        return weighed.astype(np.float64)

    def mean(self, xyxy: F32) -> F32:
        """(K, 4) the weighted mean of those that agree with each box; itself where none does, as
        with an empty box, which does not even overlap itself."""
        weight = self.weight * self._agree(xyxy)
        total = np.bincount(self.row, weight, minlength=len(xyxy))
        sums = [np.bincount(self.row, weight * side, len(xyxy)) for side in self.boxes.sides]
        means = np.stack(sums, axis=1) / np.where(total > 0, total, 1)[:, None]
        refined: F32 = np.where(total[:, None] > 0, means, xyxy).astype(np.float32)
        return refined

    def _agree(self, xyxy: F32) -> Bool:
        agreeing: Bool = Columns.of(xyxy).take(self.row).iou(self.boxes) > self.voting.iou
        return agreeing


def _near(kept: Columns, others: Columns) -> tuple[I64, I64]:
    """(row, column) of all pairs whose middles are near enough."""
    row, column = near(kept, float(NEAR), others)
    for axis in (0, 1):
        middle, reach = kept.middle(axis), 2 * NEAR * kept.length(axis)
        is_near = np.abs(others.middle(axis)[column] - middle[row]) < reach[row]
        row, column = row[is_near], column[is_near]
    return row, column
