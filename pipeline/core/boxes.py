"""Arithmetic of axis-aligned boxes, (N, 4) xyxy."""

import numpy as np

from pipeline.core.arrays import F32


def area(xyxy: F32) -> F32:
    """(N,) areas; a reversed box has none."""
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    areas: F32 = size[:, 0] * size[:, 1]
    return areas


def iou_matrix(a: F32, b: F32) -> F32:
    """Intersection over union of every pair: (N, 4), (M, 4) -> (N, M) in [0, 1]; empty boxes: 0."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    size = np.maximum(high - low, 0)
    shared = size[..., 0] * size[..., 1]
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0).astype(np.float32)
