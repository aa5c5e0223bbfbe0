"""How far a quantized network's outputs are from the float network's: a proxy for the average
precision it loses, which needs no labels and few pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors.quantize.validation import Network
from pipeline.core.arrays import F32, F64

PICTURES = 16


class Probe:
    """The float network's outputs for some pictures (1, 3, H, W), to compare others with."""

    def __init__(self, network: Network, images: Sequence[F32]) -> None:
        self._images = images
        self._wanted = [network(image) for image in images]

    def error(self, network: Network) -> float:
        """`output_error` over all pictures."""
        errors = [
            output_error(*wanted, *network(image))
            for image, wanted in zip(self._images, self._wanted, strict=True)
        ]
        weights = [float(scores.max(axis=-1).sum()) for _, scores in self._wanted]
        return float(np.average(errors, weights=np.maximum(weights, 1e-9)))


def output_error(boxes: F32, scores: F32, other_boxes: F32, other_scores: F32) -> float:
    """Mean error of the others, weighted by what the detector believes in.

    boxes (B, A, 4) xyxy, scores (B, A, C), both twice. Per anchor: the squared differences of its
    scores, and the square of 1 - IoU of its boxes times its best score. Their sum is divided by
    the sum of the best scores. Squares, as independent errors add up in them; the weights leave
    the thousands of anchors without an object out, which suppression does too.
    """
    best = scores.max(axis=-1)
    of_scores = np.square(other_scores - scores).sum()
    of_boxes = (best * np.square(1 - _iou(boxes, other_boxes))).sum()
    return float((of_scores + of_boxes) / max(float(best.sum()), 1e-9))


def _iou(a: F32, b: F32) -> F64:
    """(…, 4) twice -> (…,) IoU of each pair; 0 where both are empty."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    either = _area(a) + _area(b) - shared
    ious: F64 = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
    return ious


def _area(xyxy: F32) -> F32:
    area: F32 = np.maximum(xyxy[..., 2:] - xyxy[..., :2], 0).prod(axis=-1)
    return area
