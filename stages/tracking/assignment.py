"""Which detection continues which track."""

import lap
import numpy as np

from pipeline.core.arrays import F32, I32, I64
from pipeline.core.boxes import iou_matrix


def widened(xyxy: F32, share: float) -> F32:
    """Boxes (N, 4) grown on each side by `share` of their width or height."""
    margin = (xyxy[:, 2:] - xyxy[:, :2]) * np.float32(share)
    return np.concatenate([xyxy[:, :2] - margin, xyxy[:, 2:] + margin], axis=1)


def similarity(boxes: F32, classes: I32, xyxy: F32, class_id: I32, class_penalty: float) -> F32:
    """Tracks (T, 4), (T,) against detections (N, 4), (N,) -> (T, N): IoU, less `class_penalty`
    where the classes differ."""
    overlap = iou_matrix(boxes, xyxy)
    overlap -= np.float32(class_penalty) * (classes[:, None] != class_id[None, :])
    return overlap


def match(alike: F32, least: float) -> tuple[I64, I64]:
    """Pairs (row, column) of a (T, N) similarity, each row and column at most once.

    Among pairs of at least `least` (and above 0), maximises the sum of `alike - least`. Rows and
    columns that have only each other are paired directly, the rest by Jonker-Volgenant.
    """
    allowed = (alike >= least) & (alike > 0)
    lone = allowed & (allowed.sum(axis=1, keepdims=True) == 1) & (allowed.sum(axis=0) == 1)
    contested = allowed & ~lone
    rows, cols = np.nonzero(lone)
    if not contested.any():
        return rows, cols
    some_rows = np.flatnonzero(contested.any(axis=1))
    some_cols = np.flatnonzero(contested.any(axis=0))
    corner = np.ix_(some_rows, some_cols)
    picked = _solve(alike[corner], least)
    kept = (picked >= 0) & contested[corner][np.arange(len(picked)), picked]
    return (
        np.concatenate([rows, some_rows[kept]]),
        np.concatenate([cols, some_cols[picked[kept]]]),
    )


def _solve(alike: F32, least: float) -> I64:
    """(T, N) -> (T,) column of each row, -1 for none."""
    cost = 1.0 - alike.astype(np.float64)
    _, column_of_row, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1.0 - least)
    picked: I64 = np.asarray(column_of_row, np.int64)
    return picked
