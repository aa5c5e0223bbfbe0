"""Boxes refined by those that suppression removed, without torch.

A network predicts an object from many places at once. Their mean is truer than the best of them,
and an object that many places agree on is likelier to be there than one that a single place sees.
Box voting after Gidaris and Komodakis, ICCV 2015; the support of a score is our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.yolo_nas.operators import double, run, single
from detectors.yolo_nas.pairs import near
from detectors.yolo_nas.postprocess import best_scores
from pipeline.core.arrays import F32, F64, I64
from pipeline.core.rows import pick

USUAL_SUPPORT = 11.0  # what a clear object 60 px wide and high has: its score stays where it is
LEAST_SHARE = 0.2
NEAR = np.float32(0.3)  # of a kept box's sides: whoever's middle is further off has no say
ROUNDS = 2  # of `votes.onnx`; from wherever in a heap one starts, two come to nearly the same
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
    kept: tuple[F32, F32, I64],
    boxes: F32,
    scores: F32,
    voting: Voting,
    best: F32 | None = None,
) -> tuple[F32, F32, I64]:
    """The kept boxes of one image, as `postprocess.suppress` gives them from `boxes` (A, 4) and
    `scores` (A, C), refined and in the order of their new scores. Some may come to overlap. `best`
    (A,): `best_scores` of the scores, where it is known."""
    score, class_id = kept[1:]
    if not len(score):
        return kept
    best = best_scores(scores) if best is None else best
    xyxy, sums = _means(kept, boxes, scores, best, voting)
    if not voting.support:
        return xyxy, score, class_id
    support = np.maximum(sums / score, 1) / USUAL_SUPPORT
    gain = np.minimum(support**voting.support, LARGEST_GAIN)
    raised = np.minimum(score * gain, 1).astype(np.float32)
    order = (-raised).argsort(kind="stable")
    return pick(xyxy, order), raised[order], class_id[order]


def _means(
    kept: tuple[F32, F32, I64], boxes: F32, scores: F32, best: F32, voting: Voting
) -> tuple[F32, F64]:
    """The kept boxes as weighted means (K, 4) of the votes that agree with them, after two rounds;
    as they are where none does, as with an empty box, which does not even overlap itself. And the
    sums (K,) of the scores of those that agree with them before."""
    xyxy, score, class_id = kept
    floors = np.float32(LEAST_SHARE) * score
    voters = (best >= floors.min()).nonzero()[0]
    boxes = boxes.take(voters, axis=0)
    row, voter = near(xyxy, float(NEAR), boxes)
    likely = scores.ravel()[voters[voter] * scores.shape[1] + class_id[row]]
    may = (likely >= floors[row]).nonzero()[0]
    feed = {
        "kept": xyxy, "boxes": boxes, "row": row[may], "voter": voter[may], "likely": likely[may],
        "sharpness": double(float(voting.sharpness)), "iou": single(voting.iou),
    }  # fmt: skip
    refined, sums = run("votes", ["refined", "sums"], feed)
    return refined, sums[:, 0]
