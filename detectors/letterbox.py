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
    """Where an image went: network = source * (scale_x, scale_y) + (left, top)."""

    scale_x: float
    scale_y: float
    left: int
    top: int

    def to_source(self, xyxy: F32) -> F32:
        """Boxes (N, 4) from network pixels to source pixels, float32, not clipped."""
        back = np.array([1 / self.scale_x, 1 / self.scale_y] * 2, np.float32)
        return (xyxy - self._offset()) * back

    def to_network(self, xyxy: F32) -> F32:
        """Boxes (N, 4) from source pixels to network pixels, float32."""
        return xyxy * np.array([self.scale_x, self.scale_y] * 2, np.float32) + self._offset()

    def _offset(self) -> F32:
        return np.array([self.left, self.top] * 2, np.float32)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How images become the input of one network.

    An image is scaled so that it just fits `fit` (height, width; default: the whole input), or
    stretched to exactly that where the aspect is not kept, then padded to `height` x `width` with
    `pad_value`: on all sides, or only at the bottom and the right.
    """

    height: int
    width: int
    placement: Placement = "centre"
    pad_value: int = 114
    fit: tuple[int, int] | None = None
    keep_aspect: bool = True

    def __post_init__(self) -> None:
        if self.height % 32 or self.width % 32 or min(self.height, self.width) < 32:
            raise ValueError(
                f"network input must be multiples of 32 pixels, got {self.height}x{self.width}"
            )
        fit_height, fit_width = self._fit()
        if not (0 < fit_height <= self.height and 0 < fit_width <= self.width):
            raise ValueError(
                f"images of {fit_height}x{fit_width} do not fit a network input of "
                f"{self.height}x{self.width}"
            )

    def transform(self, height: int, width: int) -> Transform:
        """The transform of an image of that size."""
        return self.place(height, width)[0]

    def place(self, height: int, width: int) -> tuple[Transform, tuple[int, int]]:
        """The transform of an image of that size, and the size (height, width) it comes to."""
        fit_height, fit_width = size = self._fit()
        scale_x, scale_y = fit_width / width, fit_height / height
        if self.keep_aspect:
            scale_x = scale_y = min(scale_x, scale_y)
            size = max(1, round(height * scale_y)), max(1, round(width * scale_x))
        if self.placement == "bottom_right":
            return Transform(scale_x, scale_y, 0, 0), size
        left, top = (self.width - size[1]) // 2, (self.height - size[0]) // 2
        return Transform(scale_x, scale_y, left, top), size

    def pad(self, image: U8) -> tuple[U8, Transform]:
        """(H, W, 3) uint8 -> (height, width, 3) uint8 and the transform."""
        transform, (height, width) = self.place(*image.shape[:2])
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

    def _fit(self) -> tuple[int, int]:
        return self.fit or (self.height, self.width)


COCO = Letterbox(640, 640, fit=(636, 636))
"""How images were prepared for the public COCO weights."""
