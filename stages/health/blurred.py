"""Pictures that have lost the fine structure that the same camera had: defocus, dirt, a cover."""

from typing import Final

import numpy as np

from pipeline.core.arrays import F32
from stages.health.finding import Finding
from stages.health.sample import Sample, detail

LEAST_DETAIL: Final = 5e-4
"""Tiles that never had more say nothing: sky, walls."""
LEAST_TILES: Final = 4
LOST: Final = 0.2
"""Share of its usual detail below which a tile has lost it. Passing objects leave more, half or a
quarter of the light leaves more; defocus by 1 % of the picture's width leaves a tenth of that."""
LOST_TILES: Final = 0.7
LEARN_S: Final = 10.0
FOLLOW_S: Final = 300.0
"""Time constant with which the usual detail follows the day."""


class Blurred:
    """Knows the usual detail of every tile. It learns from pictures that it does not suspect."""

    def __init__(self) -> None:
        self._usual: F32 | None = None
        self._shape: tuple[int, ...] = ()
        self._learnt_s = 0.0
        self._time_s = 0.0

    def judge(self, sample: Sample, time_s: float) -> Finding:
        """Judge the next sample."""
        now = detail(sample.grey)
        step_s, self._time_s = max(time_s - self._time_s, 0.0), time_s
        if self._usual is None or self._shape != sample.grey.shape:
            self._usual, self._shape, self._learnt_s = now, sample.grey.shape, 0.0
        telling = self._usual >= LEAST_DETAIL
        if np.count_nonzero(telling) < LEAST_TILES:
            self._learn(now, step_s)
            return Finding(False, "the picture has too little detail to judge")
        left = now[telling] / self._usual[telling]
        lost = float(np.mean(left < LOST))
        bad = lost >= LOST_TILES and self._learnt_s >= LEARN_S
        if not bad:
            self._learn(now, step_s)
        why = f"{lost:.0%} of the picture has lost its detail: out of focus, dirty or covered"
        metrics = {"detail": round(float(np.median(left)), 4), "lost": round(lost, 3)}
        return Finding(bad, why, metrics)

    def _learn(self, now: F32, step_s: float) -> None:
        assert self._usual is not None
        self._learnt_s += step_s
        weight = step_s / min(max(self._learnt_s, step_s, 1e-9), FOLLOW_S)
        self._usual = self._usual + np.float32(weight) * (now - self._usual)
