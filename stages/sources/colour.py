"""The colour space of a decoded picture: matrix and range, and the way to RGB."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from pipeline.core.arrays import F64, U8

HD_LINES: Final = 720
UNSPECIFIED: Final = 2
BT601: Final = 6
BT709: Final = 1
FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG
LUMA_SHARES: Final[dict[int, tuple[float, float]]] = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""The weights of red and blue in luma, by the number of the matrix in ITU-T H.273, table 4."""


@dataclass(frozen=True, slots=True)
class Colour:
    """`matrix` is a key of `LUMA_SHARES`; `full_range`: luma and chroma from 0 to 255, else luma
    from 16 to 235 and chroma from 16 to 240."""

    matrix: int = BT601
    full_range: bool = False

    @classmethod
    def of(cls, matrix: int, full_range: bool, height: int) -> "Colour":
        """The colour space that a frame of `height` lines names. Where it names no matrix that is
        known here, 720 lines and more are BT.709 and less is BT.601, as players assume."""
        if matrix not in LUMA_SHARES:
            matrix = BT709 if height >= HD_LINES else BT601
        return cls(matrix, full_range)

    @property
    def to_rgb(self) -> F64:
        """The matrix (3, 4) to RGB, which is the first three columns times Y, Cb, Cr, plus the
        fourth; all are of 0 to 255. ITU-R BT.601, BT.709 and BT.2020: the sections on the digital
        representation."""
        return _to_rgb(self)

    @property
    def grey(self) -> U8 | None:
        """The table (256,) uint8: luma of the full range by the number of a pixel; None: it is so
        already."""
        return None if self.full_range else _grey()


@cache
def _to_rgb(colour: Colour) -> F64:
    kr, kb = LUMA_SHARES[colour.matrix]
    black, luma, chroma = (0, 255, 255) if colour.full_range else (16, 219, 224)
    red, blue = 2 * (1 - kr), 2 * (1 - kb)
    mix = np.array(
        [[1, 0, red], [1, -kb * blue / (1 - kr - kb), -kr * red / (1 - kr - kb)], [1, blue, 0]]
    )
    mix *= np.array([255 / luma, 255 / chroma, 255 / chroma])
    return np.column_stack([mix, -mix @ np.array([black, 128.0, 128.0])])


@cache
def _grey() -> U8:
    levels = (np.arange(256) - 16) * (255 / 219)
    return np.asarray(np.rint(levels.clip(0, 255)), np.uint8)
