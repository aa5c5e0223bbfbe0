"""Arithmetic of axis-aligned boxes, (N, 4) xyxy, in the precision that they come in."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)


def area(xyxy: NDArray[Real]) -> NDArray[Real]:
    """The (N,) areas of boxes (N, 4); a reversed box has none."""
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    areas: NDArray[Real] = size[:, 0] * size[:, 1]
    return areas


def iou_matrix(a: NDArray[Real], b: NDArray[Real]) -> NDArray[Real]:
    """Intersection over union of every pair: (N, 4), (M, 4) -> (N, M) in [0, 1]; empty boxes: 0."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    size = np.maximum(high - low, 0)
    shared = size[..., 0] * size[..., 1]
    union = area(a)[:, None] + area(b)[None, :] - shared
    ious: NDArray[Real] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ious
