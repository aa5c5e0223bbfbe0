"""A network that sees how red a picture is, and pictures for it."""

from pathlib import Path

import cv2
import numpy as np

from detectors.yolo_nas.predict.results import ImageDetectionPrediction
from pipeline.core.arrays import F32, U8


class Bright:
    """A stand-in network: one box over its input, scored by the picture's greatest red level."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images: F32) -> tuple[F32, F32]:
        count, _, height, width = images.shape
        self.batches.append(count)
        boxes = np.zeros((count, 1, 4), np.float32)
        boxes[..., 2:] = width, height
        return boxes, images[:, 0].max(axis=(1, 2)).reshape(count, 1, 1)


def plain(red: int, height: int = 40, width: int = 60) -> U8:
    """A picture of one colour, told apart by its red level."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = red
    return image


def write(path: Path, image: U8) -> Path:
    assert cv2.imwrite(str(path), image[..., ::-1])
    return path


def level(found: ImageDetectionPrediction) -> int:
    """The red level that the stand-in network saw."""
    (score,) = found.prediction.confidence
    return round(float(score) * 255)
