"""The detections of one picture: parallel arrays, never a list of boxes."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, I32

_DTYPES = (np.dtype(np.float32), np.dtype(np.float32), np.dtype(np.int32))


@dataclass(frozen=True, slots=True)
class Detections:
    """N detections, best score first.

    - `xyxy` (N, 4) float32: left, top, right, bottom in source pixels; may lie partly outside.
    - `score` (N,) float32 in [0, 1].
    - `class_id` (N,) int32, index into the detector's `labels`.
    """

    xyxy: F32
    score: F32
    class_id: I32

    def __post_init__(self) -> None:
        count = len(self.score)
        shapes = (self.xyxy.shape, self.score.shape, self.class_id.shape)
        if shapes != ((count, 4), (count,), (count,)):
            raise ValueError(f"Detections: shapes {shapes} do not fit together")
        dtypes = (self.xyxy.dtype, self.score.dtype, self.class_id.dtype)
        if dtypes != _DTYPES:
            said = [str(dtype) for dtype in dtypes]
            raise ValueError(f"Detections: dtypes {said} are not float32, float32, int32")

    def __len__(self) -> int:
        return len(self.score)

    @classmethod
    def empty(cls) -> "Detections":
        """No detection."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32))
