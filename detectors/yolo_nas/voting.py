"""Boxes refined by those that suppression removed, in NumPy alone.

A network predicts an object from many places at once. Their mean is truer than the best of them,
and an object that many places agree on is likelier to be there than one that a single place sees.
Box voting after Gidaris and Komodakis, ICCV 2015; the support of a score is our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.yolo_nas.pairs import near
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
    sides = refined = np.ascontiguousarray(xyxy.T)
    for _ in range(ROUNDS):
        refined = votes.mean(refined)
    xyxy = np.ascontiguousarray(refined.T)
    if not voting.support:
        return xyxy, score, class_id
    support = votes.sums(sides, votes.score)[0] / score
    gain = np.minimum((np.maximum(support, 1) / USUAL_SUPPORT) ** voting.support, LARGEST_GAIN)
    raised = np.minimum(score * gain, 1).astype(np.float32)
    order = (-raised).argsort(kind="stable")
    return xyxy[order], raised[order], class_id[order]


@dataclass(frozen=True, slots=True)
class _Votes:
    """P pairs of a kept box, `row` (P,), and a box that may vote for it: its `sides` (4, P), its
    `area` (P,), its `score` (1, P), and its `ballot` (5, P): the weight in means, and what the
    sides weigh."""

    row: I64
    sides: F32
    area: F32
    score: F64
    ballot: F64
    voting: Voting

    @classmethod
    def cast(cls, kept: tuple[F32, F32, I64], boxes: F32, scores: F32, voting: Voting) -> _Votes:
        xyxy, score, class_id = kept
        floors = np.float32(LEAST_SHARE) * score
        voters = (best_scores(scores) >= floors.min()).nonzero()[0]
        row, column = near(xyxy, float(NEAR), boxes.take(voters, axis=0))
        voter = voters[column]
        likely = scores[voter, class_id[row]]
        may = (likely >= floors[row]).nonzero()[0]
        sides = np.ascontiguousarray(boxes.take(voter[may], axis=0).T)
        size = np.maximum(sides[2:] - sides[:2], 0)
        score64 = likely[may].astype(np.float64)
        ballot = np.empty((5, len(may)))
        ballot[0] = score64**voting.sharpness
        np.multiply(sides, ballot[0], out=ballot[1:])
        return cls(row[may], sides, size[0] * size[1], score64[None], ballot, voting)

    def mean(self, kept: F32) -> F32:
        """The weighted means of those that agree with each of the boxes, (4, K) by sides; itself
        where none does, as with an empty box, which does not even overlap itself."""
        sums = self.sums(kept, self.ballot)
        means = kept.astype(np.float64)
        np.divide(sums[1:], sums[0], out=means, where=sums[0] > 0)
        return means.astype(np.float32)

    def sums(self, kept: F32, values: F64) -> F64:
        """(V, K) of values (V, P), the sums of those that agree with each of the boxes (4, K)."""
        rows, count = len(values), kept.shape[1]
        cells = self.row + count * np.arange(rows)[:, None]
        agreed = values * self._agree(kept)
        sums = np.bincount(cells.ravel(), agreed.ravel(), rows * count)
        return sums.reshape(rows, count).astype(np.float64, copy=False)

    def _agree(self, kept: F32) -> Bool:
        """(P,) whether their IoU is above the least one."""
        mine = kept.take(self.row, axis=1)
        size = np.minimum(mine[2:], self.sides[2:]) - np.maximum(mine[:2], self.sides[:2])
        np.maximum(size, 0, out=size)
        shared = size[0] * size[1]
        either = (mine[2] - mine[0]) * (mine[3] - mine[1]) + self.area - shared
        agreeing: Bool = shared > np.float32(self.voting.iou) * either
        return agreeing
