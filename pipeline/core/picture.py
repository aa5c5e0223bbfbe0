"""Pixels of one frame, in whatever form the decoder gave them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.core.arrays import I64, U8


class Picture(Protocol):
    """A picture that is only read. Its pixels are what they were until it is freed.

    Sizes are (height, width) in px, upright. Called by one thread at a time. Arrays that come back
    are kept by the picture or made for the caller; either way they are read-only by custom: whoever
    draws, draws on a copy.
    """

    @property
    def height(self) -> int:
        """The height of the full picture in pixels."""

    @property
    def width(self) -> int:
        """The width of the full picture in pixels."""

    def rgb(self) -> U8:
        """The full picture, (height, width, 3) uint8 RGB, contiguous. Made at the first call, and
        kept: at 1080p 6 MB and more than a millisecond, so only who draws, keeps or looks closely
        calls it."""

    def fit(self, height: int, width: int, out: U8 | None = None) -> U8:
        """The picture at that size, (height, width, 3) uint8 RGB, bilinear; equal to the full size
        resized but for rounding. Into `out` where it is given, whose rows may lie apart."""

    def luma(self, height: int, width: int) -> U8:
        """The grey picture at that size, (height, width) uint8, 0 black to 255 white: rows are
        picked, columns averaged. Cheap: most pixels are not looked at."""

    def luma_grid(self, apart_px: int) -> U8:
        """Every `apart_px`-th luma of every `apart_px`-th row, from `apart_px // 2` on, as decoded:
        not averaged and not brought to 0 to 255. A copy, which may be kept."""


@dataclass(frozen=True, slots=True, eq=False)
class RgbPicture:
    """A `Picture` of an array (height, width, 3) uint8 RGB. Raises ValueError for another array."""

    array: U8

    def __post_init__(self) -> None:
        shape = self.array.shape
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or self.array.dtype != np.uint8:
            raise ValueError(
                f"RgbPicture: image must be (H, W, 3) uint8, not {shape} {self.array.dtype}"
            )

    @property
    def height(self) -> int:
        """See `Picture.height`."""
        return int(self.array.shape[0])

    @property
    def width(self) -> int:
        """See `Picture.width`."""
        return int(self.array.shape[1])

    def rgb(self) -> U8:
        """The array itself."""
        return self.array

    def fit(self, height: int, width: int, out: U8 | None = None) -> U8:
        """See `Picture.fit`."""
        import cv2

        if (height, width) != self.array.shape[:2]:
            made = cv2.resize(self.array, (width, height), out, interpolation=cv2.INTER_LINEAR)
            return np.asarray(made, np.uint8) if out is None else out
        if out is None:
            return self.array
        out[:] = self.array
        return out

    def luma(self, height: int, width: int) -> U8:
        """See `Picture.luma`."""
        import cv2

        rows = self.array[picked_rows(self.height, height)]
        strip = cv2.resize(rows, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY), np.uint8)

    def luma_grid(self, apart_px: int) -> U8:
        """See `Picture.luma_grid`; of a picture without luma, its green, which is most of it."""
        start = apart_px // 2
        return self.array[start::apart_px, start::apart_px, 1].copy()


def picked_rows(rows: int, wanted: int) -> I64:
    """Indices of `wanted` of `rows` rows, evenly apart; all are picked where fewer are there."""
    return (np.arange(wanted) * rows + rows // 2) // wanted


AnyPicture = Picture | U8
"""A picture, or an array (H, W, 3) uint8 RGB."""


def as_picture(picture: AnyPicture) -> Picture:
    """A picture as it is, an array as one. Raises ValueError for another array."""
    return RgbPicture(picture) if isinstance(picture, np.ndarray) else picture
