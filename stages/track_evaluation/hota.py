"""Higher order tracking accuracy (Luiten et al., HOTA, IJCV 2021)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.core.arrays import F64
from stages.track_evaluation.assignment import best_pairs
from stages.track_evaluation.boxes import Overlaps

ALPHAS: F64 = np.arange(1, 20, dtype=np.float64) * 0.05
_ROUNDING = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Hota:
    """Sums over one or several sequences, an array (19,) by localisation threshold each.

    `association` is the sum over true positives of their Jaccard index A(c), `overlap` that of
    their IoU.
    """

    true_positives: F64
    false_negatives: F64
    false_positives: F64
    association: F64
    overlap: F64

    def __add__(self, other: "Hota") -> "Hota":
        return Hota(
            self.true_positives + other.true_positives,
            self.false_negatives + other.false_negatives,
            self.false_positives + other.false_positives,
            self.association + other.association,
            self.overlap + other.overlap,
        )

    @cached_property
    def _by_alpha(self) -> tuple[F64, F64]:
        """DetA and AssA of each threshold."""
        everything = self.true_positives + self.false_negatives + self.false_positives
        detection = self.true_positives / np.maximum(everything, 1)
        return detection, self.association / np.maximum(self.true_positives, 1)

    @property
    def det_a(self) -> float:
        """Detection accuracy, mean over thresholds, in [0, 1]."""
        return float(self._by_alpha[0].mean())

    @property
    def ass_a(self) -> float:
        """Association accuracy, mean over thresholds, in [0, 1]."""
        return float(self._by_alpha[1].mean())

    @property
    def hota(self) -> float:
        """Geometric mean of both, mean over thresholds, in [0, 1]."""
        detection, association = self._by_alpha
        return float(np.sqrt(detection * association).mean())

    @property
    def loc_a(self) -> float:
        """Mean IoU of true positives, mean over thresholds; 1 where there are none."""
        some = self.true_positives > 0
        mean = np.divide(self.overlap, self.true_positives, out=np.ones(len(ALPHAS)), where=some)
        return float(mean.mean())


def hota(overlaps: Overlaps) -> Hota:
    """One assignment per frame for all thresholds, as in the authors' evaluation: pairs whose ids
    agree over the whole sequence are preferred, then those that overlap more."""
    true_count, found_count = overlaps.true_count, overlaps.found_count
    alignment = _alignment(overlaps)
    cells, ious = [np.empty(0, np.int64)], [np.empty(0)]
    for true_id, found_id, iou in overlaps.frames:
        rows, cols = best_pairs(alignment[np.ix_(true_id, found_id)] * iou)
        cells.append(true_id[rows] * len(found_count) + found_id[cols])
        ious.append(iou[rows, cols])
    cell, iou_of_pair = np.concatenate(cells), np.concatenate(ious)
    either = true_count[:, None] + found_count[None, :]
    hits, association, overlap = np.zeros((3, len(ALPHAS)))
    for index, alpha in enumerate(ALPHAS.tolist()):
        close = iou_of_pair >= alpha - _ROUNDING
        shared = np.bincount(cell[close], minlength=either.size).reshape(either.shape)
        hits[index] = np.count_nonzero(close)
        association[index] = (shared * (shared / np.maximum(either - shared, 1))).sum()
        overlap[index] = iou_of_pair[close].sum()
    return Hota(hits, true_count.sum() - hits, found_count.sum() - hits, association, overlap)


def _alignment(overlaps: Overlaps) -> F64:
    """(true ids, track ids) how well two ids agree over the sequence: a soft Jaccard index."""
    true_count, found_count = overlaps.true_count, overlaps.found_count
    together = np.zeros((len(true_count), len(found_count)))
    for true_id, found_id, iou in overlaps.frames:
        either = iou.sum(axis=0)[None, :] + iou.sum(axis=1)[:, None] - iou
        share = np.divide(iou, either, out=np.zeros_like(iou), where=either > _ROUNDING)
        together[np.ix_(true_id, found_id)] += share
    alignment: F64 = together / (true_count[:, None] + found_count[None, :] - together)
    return alignment
