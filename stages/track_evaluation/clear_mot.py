"""CLEAR MOT (Bernardin and Stiefelhagen, EURASIP JIVP 2008), at an IoU of 0.5."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F64, I64
from stages.track_evaluation.assignment import best_pairs
from stages.track_evaluation.boxes import Overlaps

LEAST_IOU = 0.5
_ROUNDING = float(np.finfo(np.float64).eps)
_KEEP = 1000.0  # a pair of the frame before is kept whatever else overlaps more
_NEVER = -1


@dataclass(frozen=True, slots=True)
class ClearMot:
    """Sums over one or several sequences.

    `mostly_tracked` and `mostly_lost`: true ids that are matched in more than 80 %, or less than
    20 %, of their frames. `fragments`: how often a matched id is lost and found again.
    """

    true_positives: int = 0
    false_negatives: int = 0
    false_positives: int = 0
    switches: int = 0
    mostly_tracked: int = 0
    mostly_lost: int = 0
    fragments: int = 0

    def __add__(self, other: "ClearMot") -> "ClearMot":
        return ClearMot(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )

    @property
    def mota(self) -> float:
        """1 - (misses + false positives + switches) / true boxes; may be negative."""
        true = self.true_positives + self.false_negatives
        return (self.true_positives - self.false_positives - self.switches) / max(true, 1)


def clear_mot(overlaps: Overlaps) -> ClearMot:
    """A true id switches when it is matched to another track than at its last match, however long
    ago that is."""
    true_count = overlaps.true_count
    last = np.full(len(true_count), _NEVER)
    before = last.copy()
    times, runs = np.zeros_like(true_count), np.zeros_like(true_count)
    switches = 0
    frames = iter(overlaps.frames)
    for true_id, found_id, iou in frames:
        rows, cols = _match(iou, before[true_id][:, None] == found_id[None, :])
        ids, tracks = true_id[rows], found_id[cols]
        switches += int(np.count_nonzero((last[ids] != _NEVER) & (last[ids] != tracks)))
        runs[ids] += before[ids] == _NEVER
        before = np.full_like(before, _NEVER)
        before[ids] = last[ids] = tracks
        times[ids] += 1
    hits = int(times.sum())
    share = times / np.maximum(true_count, 1)
    return ClearMot(
        true_positives=hits,
        false_negatives=int(true_count.sum()) - hits,
        false_positives=int(overlaps.found_count.sum()) - hits,
        switches=switches,
        mostly_tracked=int(np.count_nonzero(share > 0.8)),
        mostly_lost=int(np.count_nonzero(share < 0.2)),
        fragments=int(np.maximum(runs - 1, 0).sum()),
    )


def _match(iou: F64, kept: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[I64, I64]:
    worth = np.where(iou >= LEAST_IOU - _ROUNDING, iou + _KEEP * kept, 0.0)
    rows, cols = best_pairs(worth)
    some = worth[rows, cols] > _ROUNDING
    return rows[some], cols[some]
