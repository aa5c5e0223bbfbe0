"""Image to network input, and boxes back: resize, pad, scale to [0, 1].

Images are (H, W, 3) uint8 RGB. OpenCV's bilinear resize, as in the training of public weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from pipeline.core.arrays import F32, U8

Placement = Literal["centre", "bottom_right"]


@dataclass(frozen=True, slots=True)
class Transform:
    """Where an image went: network = source * scale + (left, top)."""

    scale: float
    left: int
    top: int

    def to_source(self, xyxy: F32) -> F32:
        """Boxes (N, 4) from network pixels to source pixels, float32, not clipped."""
        offset = np.array([self.left, self.top, self.left, self.top], np.float32)
        return (xyxy - offset) * np.float32(1 / self.scale)

    def to_network(self, xyxy: F32) -> F32:
        """Boxes (N, 4) from source pixels to network pixels, float32."""
        offset = np.array([self.left, self.top, self.left, self.top], np.float32)
        return xyxy * np.float32(self.scale) + offset


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How images become the input of one network.

    An image is scaled so that it just fits `fit` (default: the whole input), then padded to
    `height` x `width` with `pad_value`: on all sides, or only at the bottom and the right.
    """

    height: int
    width: int
    placement: Placement = "centre"
    pad_value: int = 114
    fit: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.height % 32 or self.width % 32 or min(self.height, self.width) < 32:
            raise ValueError(
                f"network input must be multiples of 32 pixels, got {self.height}x{self.width}"
            )

    def transform(self, height: int, width: int) -> Transform:
        """The transform of an image of that size."""
        scale, (new_height, new_width) = self._scaled(height, width)
        if self.placement == "bottom_right":
            return Transform(scale, 0, 0)
        return Transform(scale, (self.width - new_width) // 2, (self.height - new_height) // 2)

    def pad(self, image: U8) -> tuple[U8, Transform]:
        """(H, W, 3) uint8 -> (height, width, 3) uint8 and the transform."""
        transform = self.transform(*image.shape[:2])
        _, (height, width) = self._scaled(*image.shape[:2])
        resized: Any = image
        if (height, width) != image.shape[:2]:
            resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        canvas = np.full((self.height, self.width, 3), self.pad_value, np.uint8)
        top, left = transform.top, transform.left
        canvas[top : top + height, left : left + width] = resized
        return canvas, transform

    def apply(self, image: U8) -> tuple[F32, Transform]:
        """(H, W, 3) uint8 -> (3, height, width) float32 in [0, 1] and the transform."""
        canvas, transform = self.pad(image)
        chw = canvas.transpose(2, 0, 1).astype(np.float32)
        chw *= np.float32(1 / 255)
        return chw, transform

    def _scaled(self, height: int, width: int) -> tuple[float, tuple[int, int]]:
        fit_height, fit_width = self.fit or (self.height, self.width)
        scale = min(fit_height / height, fit_width / width)
        return scale, (max(1, round(height * scale)), max(1, round(width * scale)))


COCO = Letterbox(640, 640, fit=(636, 636))
"""How images were prepared for the public COCO weights."""
