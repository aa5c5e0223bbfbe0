"""Boxes that nobody is judged on."""

import numpy as np

from pipeline.core.arrays import Bool
from stages.track_evaluation.assignment import best_pairs
from stages.track_evaluation.boxes import BoxSequence, Overlaps, shared_frames

LEAST_IOU = 0.5
_ROUNDING = float(np.finfo(np.float64).eps)


def without_distractors(truth: BoxSequence, distractor: Bool, found: BoxSequence) -> BoxSequence:
    """`found` less the boxes that belong to a distractor: in every frame they are paired one to one
    with all true boxes, judged or not, so that the sum of IoU of pairs of at least 0.5 is highest,
    and those paired with a row of `truth` that is a `distractor` (M,) are dropped. This is what MOT
    Challenge does with people behind glass, riders, statues."""
    kept = np.ones(len(found), np.bool_)
    overlaps = Overlaps.of(truth, found).frames
    for (a, b), (_, _, iou) in zip(shared_frames(truth, found), overlaps, strict=True):
        if not distractor[a].any():
            continue
        worth = np.where(iou >= LEAST_IOU - _ROUNDING, iou, 0.0)
        rows, cols = best_pairs(worth)
        dropped = (worth[rows, cols] > 0) & distractor[a][rows]
        kept[b.start + cols[dropped]] = False
    return BoxSequence(found.frame[kept], found.track_id[kept], found.xyxy[kept])
