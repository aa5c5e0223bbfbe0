"""Image to network input, and boxes back: resize, pad, scale to [0, 1].

Images are (H, W, 3) uint8 RGB. OpenCV's bilinear resize, as in the training of public weights.
Decoded video is resized plane by plane; see `pipeline.core.picture`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from pipeline.core.arrays import F32, U8
from pipeline.core.picture import AnyPicture, as_picture

Placement = Literal["centre", "bottom_right"]

STEP_PX: Final = 32
"""Sides of inputs are multiples of it."""
MOST_STRETCH: Final = 3
"""No side of an input that follows grows beyond so many times its length."""
MOST_PIXELS: Final = 1.02
"""Of an input that follows, beside those of the file: 416 x 416 makes way for 544 x 320."""
ENLARGED_PIXELS: Final = 0.6
"""A small picture is enlarged to no more than this: beyond, it takes longer and finds less."""


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
        return (xyxy - np.array([self.left, self.top] * 2, np.float32)) * back


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How images become the input of one network.

    An image is scaled so that it just fits `fit` (height, width; default: the whole input), or
    stretched to exactly that where the aspect is not kept, then padded to `height` x `width` with
    `pad_value`: on all sides, or only at the bottom and the right.

    With `follows`, the input itself has the shape of the image: of all with at most `MOST_PIXELS`
    times as many pixels as `height` x `width` the one in which it is largest; but a small image is
    enlarged to no more than `ENLARGED_PIXELS` of them.
    """

    height: int
    width: int
    placement: Placement = "centre"
    pad_value: int = 114
    fit: tuple[int, int] | None = None
    keep_aspect: bool = True
    follows: bool = False

    def __post_init__(self) -> None:
        if self.height % STEP_PX or self.width % STEP_PX or min(self.height, self.width) < STEP_PX:
            raise ValueError(
                f"network input must be multiples of 32 pixels, got {self.height}x{self.width}"
            )
        fit_height, fit_width = self._fit()
        if not (0 < fit_height <= self.height and 0 < fit_width <= self.width):
            raise ValueError(
                f"images of {fit_height}x{fit_width} do not fit a network input of "
                f"{self.height}x{self.width}"
            )

    def of(self, height: int, width: int) -> Letterbox:
        """That of an image of this size: itself, or with `follows` the one whose input has the
        image's shape. The margins that `fit` leaves are kept."""
        return _following(self, height, width) if self.follows and self.keep_aspect else self

    def sized(self, height: int, width: int) -> Letterbox:
        """The same for an input of exactly that size, with the least margins it had."""
        fit = self.fit and (height - self.height + self.fit[0], width - self.width + self.fit[1])
        return replace(self, height=height, width=width, fit=fit, follows=False)

    def transform(self, height: int, width: int) -> Transform:
        """The transform of an image of that size."""
        return self.place(height, width)[0]

    def place(self, height: int, width: int) -> tuple[Transform, tuple[int, int]]:
        """The transform of an image of that size, and the size (height, width) it comes to."""
        box = self.of(height, width)
        if box is not self:
            return box.place(height, width)
        fit_height, fit_width = size = self._fit()
        scale_x, scale_y = fit_width / width, fit_height / height
        if self.keep_aspect:
            scale_x = scale_y = min(scale_x, scale_y)
            size = max(1, round(height * scale_y)), max(1, round(width * scale_x))
        if self.placement == "bottom_right":
            return Transform(scale_x, scale_y, 0, 0), size
        left, top = (self.width - size[1]) // 2, (self.height - size[0]) // 2
        return Transform(scale_x, scale_y, left, top), size

    def fill(self, picture: AnyPicture, canvas: U8) -> Transform:
        """A picture into `canvas` (height, width, 3) uint8, all of which is written to."""
        seen = as_picture(picture)
        transform, (height, width) = self.place(seen.height, seen.width)
        top, left = transform.top, transform.left
        seen.fit(height, width, canvas[top : top + height, left : left + width])
        canvas[:top] = canvas[top + height :] = self.pad_value
        canvas[top : top + height, :left] = self.pad_value
        canvas[top : top + height, left + width :] = self.pad_value
        return transform

    def apply(self, image: U8) -> tuple[F32, Transform]:
        """(H, W, 3) uint8 -> (3, height, width) float32 in [0, 1] and the transform."""
        canvas = np.empty((self.height, self.width, 3), np.uint8)
        transform = self.fill(image, canvas)
        chw = canvas.transpose(2, 0, 1).astype(np.float32)
        chw *= np.float32(1 / 255)
        return chw, transform

    def _fit(self) -> tuple[int, int]:
        return self.fit or (self.height, self.width)

    def _margins(self) -> tuple[int, int]:
        fit_height, fit_width = self._fit()
        return self.height - fit_height, self.width - fit_width


@lru_cache(maxsize=256)
def _following(box: Letterbox, height: int, width: int) -> Letterbox:
    """See `Letterbox`; with no more around the image than it must have."""
    scale = _largest_scale(box, height, width, MOST_PIXELS)
    if scale <= 0:
        return box.sized(box.height, box.width)
    if scale > 1:
        scale = max(1.0, _largest_scale(box, height, width, ENLARGED_PIXELS))
    margin_y, margin_x = box._margins()
    return box.sized(
        _step_up(round(height * scale) + margin_y), _step_up(round(width * scale) + margin_x)
    )


def _largest_scale(box: Letterbox, height: int, width: int, share: float) -> float:
    """Of an image in any input of at most this share of the pixels of `box`; 0 or less if none has
    room for it beside the margins."""
    pixels = int(share * box.height * box.width)
    margin_y, margin_x = box._margins()
    scale = 0.0
    for wide in range(STEP_PX, MOST_STRETCH * box.width + 1, STEP_PX):
        tall = min(pixels // wide, MOST_STRETCH * box.height)
        tall -= tall % STEP_PX
        scale = max(scale, min((tall - margin_y) / height, (wide - margin_x) / width))
    return scale


def _step_up(side_px: int) -> int:
    return -(-max(1, side_px) // STEP_PX) * STEP_PX


COCO = Letterbox(640, 640, fit=(636, 636))
"""How images were prepared for the public COCO weights."""
