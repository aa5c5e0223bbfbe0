"""Identity scores (Ristani et al., ECCV workshops 2016), at an IoU of 0.5."""

from dataclasses import dataclass

import numpy as np

from stages.track_evaluation.assignment import best_pairs
from stages.track_evaluation.boxes import Overlaps

LEAST_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Identity:
    """Boxes that agree when every true id is given at most one track for the whole sequence."""

    true_positives: int = 0
    false_negatives: int = 0
    false_positives: int = 0

    def __add__(self, other: "Identity") -> "Identity":
        return Identity(
            self.true_positives + other.true_positives,
            self.false_negatives + other.false_negatives,
            self.false_positives + other.false_positives,
        )

    @property
    def idf1(self) -> float:
        """In [0, 1]."""
        wrong = self.false_negatives + self.false_positives
        return 2 * self.true_positives / max(2 * self.true_positives + wrong, 1)


def identity(overlaps: Overlaps) -> Identity:
    """The pairing of ids that makes the most boxes agree."""
    together = np.zeros((len(overlaps.true_count), len(overlaps.found_count)))
    for true_id, found_id, iou in overlaps.frames:
        together[np.ix_(true_id, found_id)] += iou >= LEAST_IOU
    hits = int(together[best_pairs(together)].sum())
    return Identity(
        hits, int(overlaps.true_count.sum()) - hits, int(overlaps.found_count.sum()) - hits
    )
