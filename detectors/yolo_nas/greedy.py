"""Who stays of boxes that overlap: the operator NonMaxSuppression of ONNX Runtime.

It compares each box with those that stay, not with all, and gives Python's lock away meanwhile.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.core.arrays import F32, I64

MODEL: Final = Path(__file__).with_name("greedy.onnx")
"""A network of that operator alone."""
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
        return np.arange(count)
    boxes = xyxy.copy()
    np.maximum(boxes[:, 2:], boxes[:, :2], out=boxes[:, 2:])
    rank = np.arange(count, 0, -1, dtype=np.float32)
    scores = rank[None]
    if groups is not None:
        scores = np.zeros((int(groups.max()) + 1, count), np.float32)
        scores[groups, np.arange(count)] = rank
    feed = {
        "boxes": boxes[None], "scores": scores[None], "limit": np.array([limit], np.float32),
        "most": np.array([count]), "least": _NOTHING,
    }  # fmt: skip
    (stay,) = _session().run(None, feed)  # rows are image, group, box
    kept: I64 = np.sort(stay[:, 2])
    return kept


@cache
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(
        MODEL.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
