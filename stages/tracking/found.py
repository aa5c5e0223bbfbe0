"""The usable detections of one frame."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, I32, I64, AnyArray
from pipeline.core.rows import pick
from stages.tracking.motion import FARTHEST_PX

MOST = 1000
_NO_ROWS = np.empty(0, np.int64)


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
        """The detections at `rows` (K,), in that order."""
        return Found(
            pick(self.xyxy, rows),
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
    if not count:
        return Found(xyxy, score, class_id, _NO_ROWS, features), 0
    sides = np.ascontiguousarray(xyxy.T)
    low, high = sides[:2], sides[2:]
    is_long = (low > -FARTHEST_PX) & (high > low) & (high < FARTHEST_PX)
    sound = is_long[0] & is_long[1] & ~np.isnan(score)
    row = (sound & (score >= low_score)).nonzero()[0]
    if len(row) > MOST:
        best = np.lexsort((xyxy[row, 1], xyxy[row, 0], -score[row]))[:MOST]
        row = np.sort(row[best])
    dropped = count - int(np.count_nonzero(sound))
    if len(row) < count:
        xyxy, score, class_id = pick(xyxy, row), score[row], class_id[row]
        features = None if features is None else features[row]
    xyxy, score = xyxy.astype(np.float32, copy=False), score.astype(np.float32, copy=False)
    return Found(xyxy, np.minimum(np.maximum(score, 0), 1), class_id, row, features), dropped
