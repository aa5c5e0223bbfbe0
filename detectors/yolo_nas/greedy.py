"""Who stays of boxes that overlap: the operator NonMaxSuppression of ONNX Runtime.

It compares each box with those that stay, not with all, and gives Python's lock away meanwhile.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from detectors.yolo_nas.operators import run, single
from pipeline.core.arrays import F32, I64
from pipeline.core.rows import numbers

_ALL: Final = np.array([2**31 - 1])
"""No limit to the number of boxes that stay."""
_NOTHING: Final = np.zeros(1, np.float32)
"""What a box scores in groups that it is not of."""


def greedy(xyxy: F32, groups: I64 | None, limit: float) -> I64:
    """Indices of the boxes that stay, given boxes (N, 4) in descending order of score.

    A box falls when one before it that stays, of its group (N,), overlaps it with an IoU greater
    than `limit`. Without groups all are of one. Boxes that are empty or inside out overlap nothing.
    Any thread.
    """
    count = len(xyxy)
    if count < 2:
        return numbers(count)
    sides = np.ascontiguousarray(xyxy.T)
    if not (sides[2:] >= sides[:2]).all():
        low, high = xyxy[:, :2], xyxy[:, 2:]
        xyxy = np.concatenate([low, np.maximum(high, low)], axis=1)
    scores = _by_rank(count)
    if groups is not None:
        rank = scores
        scores = np.zeros((1, int(groups.max()) + 1, count), np.float32)
        scores[0, groups, numbers(count)] = rank
    feed = {
        "boxes": xyxy[None],
        "scores": scores,
        "limit": single(limit),
        "most": _ALL,
        "least": _NOTHING,
    }
    (stay,) = run("greedy", ["stay"], feed)  # rows are image, group, box
    kept: I64 = stay[:, 2]
    if groups is not None:
        kept.sort()
    return kept


@lru_cache(maxsize=512)
def _by_rank(count: int) -> F32:
    """Scores (1, 1, N) of one group in descending order; only to be read."""
    return np.arange(count, 0, -1, dtype=np.float32)[None, None]
