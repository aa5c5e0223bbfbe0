"""The usable detections of one frame."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, I32, I64, AnyArray
from stages.tracking.motion import FARTHEST_PX

MOST = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """N usable detections; `row` (N,) is where the caller has them. `features` (N, D) or None."""

    xyxy: F32
    score: F32
    class_id: I32
    row: I64
    features: F32 | None = None

    def __len__(self) -> int:
        return len(self.row)

    def pick(self, rows: AnyArray) -> "Found":
        """Those at `rows` (K,), in that order."""
        return Found(
            self.xyxy[rows],
            self.score[rows],
            self.class_id[rows],
            self.row[rows],
            None if self.features is None else self.features[rows],
        )


def admit(
    xyxy: F32, score: F32, class_id: I32, features: F32 | None, low_score: float
) -> tuple[Found, int]:
    """The detections that are boxes and score at least `low_score`, and how many are no boxes: not
    finite, reversed or empty. Scores are clipped to [0, 1]. Of more than `MOST` the best are taken:
    one stream gone mad must not hold up the others. Raises `ValueError` when shapes do not fit
    together."""
    count = len(score)
    shapes = (xyxy.shape, score.shape, class_id.shape)
    if shapes != ((count, 4), (count,), (count,)):
        raise ValueError(f"Tracker: shapes {shapes} do not fit together")
    if features is not None and (features.ndim != 2 or len(features) != count):
        raise ValueError(f"Tracker: features {features.shape} for {count} detections")
    near = (np.abs(xyxy) < FARTHEST_PX).all(axis=1)
    sound = near & (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1) & ~np.isnan(score)
    row = np.flatnonzero(sound & (score >= low_score))
    if len(row) > MOST:
        best = np.lexsort((xyxy[row, 1], xyxy[row, 0], -score[row]))[:MOST]
        row = np.sort(row[best])
    found = Found(
        xyxy[row].astype(np.float32, copy=False),
        np.clip(score[row], 0, 1).astype(np.float32, copy=False),
        class_id[row],
        row,
        None if features is None else features[row],
    )
    return found, count - int(np.count_nonzero(sound))
