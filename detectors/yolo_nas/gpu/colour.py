"""Decoded video as RGB on a GPU, with the numbers that decoding on the CPU gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Matrix = Literal["bt601", "bt709", "bt2020"]

HD_LINES = 720
MATRIX_OF_CODE: dict[int, Matrix] = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}
"""By the numbers of ITU-T H.273, table 4, as streams carry them."""
FULL_RANGE = 2  # AVCOL_RANGE_JPEG
BLACK = 16
ONE = 1 << 16
COEFFICIENTS: dict[Matrix, tuple[int, int, int, int]] = {
    "bt601": (104597, 132201, 25675, 53279),
    "bt709": (117489, 138438, 13975, 34925),
    "bt2020": (110013, 140363, 12277, 42626),
}
"""What V adds to red, U to blue, and U and V take from green, for limited range, times 2^16."""


@dataclass(frozen=True, slots=True)
class Colour:
    """What the numbers of a decoded frame mean."""

    matrix: Matrix = "bt601"
    full_range: bool = False

    @classmethod
    def of(cls, height: int, colorspace: int, color_range: int) -> Colour:
        """From what a frame says (`colorspace` and `color_range` of PyAV). As the decoder on the
        CPU has it: where no matrix is named, 720 lines and more are BT.709, and less is BT.601."""
        guess: Matrix = "bt709" if height >= HD_LINES else "bt601"
        return cls(MATRIX_OF_CODE.get(colorspace, guess), color_range == FULL_RANGE)


@dataclass(frozen=True, slots=True, eq=False)
class Nv12:
    """A decoded frame: `luma` (H, W) and `chroma` (H / 2, W / 2, 2), uint8 tensors of one device.

    Raises ValueError for other shapes or types, and for odd sides.
    """

    luma: torch.Tensor
    chroma: torch.Tensor
    colour: Colour

    def __post_init__(self) -> None:
        height, width = self.luma.shape
        right = tuple(self.chroma.shape) == (height // 2, width // 2, 2)
        kinds = {str(self.luma.dtype), str(self.chroma.dtype)}
        if height % 2 or width % 2 or not right or kinds != {"torch.uint8"}:
            raise ValueError(
                f"NV12 is uint8 (H, W) and (H / 2, W / 2, 2) with even sides, not "
                f"{tuple(self.luma.shape)} and {tuple(self.chroma.shape)} of {sorted(kinds)}"
            )

    def rgb_at(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """The pixels where these rows (h,) and columns (w,) cross: (h, w, 3) uint8."""
        luma = self.luma[rows][:, columns]
        chroma = self.chroma[rows // 2][:, columns // 2]
        return to_rgb(luma, chroma, self.colour)


def to_rgb(luma: torch.Tensor, chroma: torch.Tensor, colour: Colour) -> torch.Tensor:
    """luma (...) and chroma (..., 2), uint8 -> (..., 3) uint8.

    In the integers that libswscale uses for 8-bit 4:2:0 on x86, which keeps three fractional bits
    and cuts each product: so it is not the nearest value, but the CPU's.
    """
    import torch

    scale, black, factors = _integers(colour)
    brightness = ((luma.int() - black) * 8 * scale) >> 16
    u, v = ((chroma.int() - 128) * 8).unbind(-1)
    red, blue, green_u, green_v = factors
    channels = (
        brightness + ((v * red) >> 16),
        brightness + ((u * green_u) >> 16) + ((v * green_v) >> 16),
        brightness + ((u * blue) >> 16),
    )
    return torch.stack(channels, -1).clamp_(0, 255).to(torch.uint8)


def _integers(colour: Colour) -> tuple[int, int, tuple[int, int, int, int]]:
    """Factor of the luma, its black, and the factors of the chroma, times 2^13."""
    scale, black, factors = ONE * 255 // 219, BLACK, COEFFICIENTS[colour.matrix]
    if colour.full_range:
        scale, black = ONE, 0
    red, blue, green_u, green_v = (
        factor * 224 // 255 if colour.full_range else factor for factor in factors
    )
    chroma = (_eighth(red), _eighth(blue), _eighth(-green_u), _eighth(-green_v))
    return _eighth(scale), black, chroma


def _eighth(value: int) -> int:
    return (value * 8192 + (1 << 15)) >> 16
