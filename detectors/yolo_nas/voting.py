"""Boxes refined by those that suppression removed, in NumPy alone.

A network predicts an object from many places at once. Their mean is truer than the best of them,
and an object that many places agree on is likelier to be there than one that a single place sees.
Box voting after Gidaris and Komodakis, ICCV 2015; the support of a score is our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, F64, I64
from pipeline.core.boxes import iou_matrix

USUAL_SUPPORT = 11.0  # what a clear object 60 px wide and high has: its score stays where it is
LEAST_SHARE = 0.2
ROUNDS = 2  # from wherever in a heap one starts, the second mean is nearly the same
LARGEST_GAIN = 2.0


@dataclass(frozen=True, slots=True)
class Voting:
    """How much the removed candidates have to say.

    A candidate votes for a kept box when their IoU is greater than `iou` and its score for the kept
    one's class at least a fifth of the kept score. Boxes become the mean of the votes, weighted by
    the score to the power `sharpness`, and then once more of what agrees with that mean. Scores are
    multiplied by (sum of the votes' scores / score / 11) ** `support`: up to twofold, and never
    above 1; 0 leaves them as they are.

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

    @property
    def largest_gain(self) -> float:
        """What a score is multiplied by at most."""
        return LARGEST_GAIN if self.support else 1.0


def vote(
    kept: tuple[F32, F32, I64], boxes: F32, scores: F32, voting: Voting
) -> tuple[F32, F32, I64]:
    """The kept boxes of one image, as `postprocess.suppress` gives them from `boxes` (A, 4) and
    `scores` (A, C), refined and in the order of their new scores. Some may come to overlap."""
    xyxy, score, class_id = kept
    if not len(score):
        return kept
    floors = np.float32(LEAST_SHARE) * score
    voters = np.flatnonzero(scores.max(axis=1) >= floors.min())
    votes = scores[voters][:, class_id].T.astype(np.float64)
    votes[votes < floors[:, None]] = 0
    support = _support(votes, xyxy, boxes[voters], voting) / score
    for _ in range(ROUNDS):
        xyxy = _means(votes, xyxy, boxes[voters], voting)
    gain = np.minimum((np.maximum(support, 1) / USUAL_SUPPORT) ** voting.support, LARGEST_GAIN)
    raised = np.minimum(score * gain, 1).astype(np.float32)
    order = np.argsort(-raised, kind="stable")
    return xyxy[order], raised[order], class_id[order]


def _support(votes: F64, xyxy: F32, voters: F32, voting: Voting) -> F64:
    """(K,) the scores of all that agree with each of the boxes, summed."""
    agreed: F64 = (votes * (iou_matrix(xyxy, voters) > voting.iou)).sum(axis=1)
    return agreed


def _means(votes: F64, xyxy: F32, voters: F32, voting: Voting) -> F32:
    """(K, 4) the weighted mean of those that agree with each box; itself where none does, as with
    an empty box, which does not even overlap itself."""
    weights = votes**voting.sharpness * (iou_matrix(xyxy, voters) > voting.iou)
    total = weights.sum(axis=1, keepdims=True)
    means = weights @ voters.astype(np.float64) / np.where(total > 0, total, 1)
    refined: F32 = np.where(total > 0, means, xyxy).astype(np.float32)
    return refined
