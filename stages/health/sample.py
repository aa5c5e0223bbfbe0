"""The sample of a picture that is looked at: little enough to cost a fraction of a millisecond."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.core.arrays import F32, U8
from pipeline.core.picture import AnyPicture, as_picture

GRID_ROWS: Final = 90
STRIP_ROWS, STRIP_COLUMNS = 90, 320
TILE_ROWS, TILE_COLUMNS = 4, 6


@dataclass(frozen=True, slots=True)
class Sample:
    """A look at one picture.

    - `grid`: (rows, columns) uint8 luma, pixels some apart, with all of the sensor's noise.
    - `grey`: (rows, columns) uint8 luma, averaged along rows, with little of it.
    """

    grid: U8
    grey: U8


def look(picture: AnyPicture) -> Sample:
    """A sample of a picture."""
    seen = as_picture(picture)
    size = luma_size(seen.height, seen.width)
    return Sample(seen.luma_grid(grid_apart_px(seen.height)), seen.luma(*size))


def luma_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of `Sample.grey` for a picture of that size."""
    return -(-height // max(1, height // STRIP_ROWS)), min(width, STRIP_COLUMNS)


def grid_apart_px(height: int) -> int:
    """The distance of the pixels of `Sample.grid` are in a picture of that height."""
    return max(1, round(height / GRID_ROWS))


def detail(grey: U8) -> F32:
    """Fine structure of each tile of a picture, relative to its brightness: (TILE_ROWS *
    TILE_COLUMNS,) float32, >= 0. The same scene has the same detail in half the light.

    Mean squared second difference along rows: defocus makes it fall with the third power of the
    width of an edge. Less what normal noise of the same mean magnitude would have: edges are few
    and strong, so most of theirs stays, while of noise next to nothing does.
    """
    rows, columns = grey.shape
    rows, columns = rows // TILE_ROWS, (columns - 2) // TILE_COLUMNS
    if rows < 1 or columns < 1:
        return np.zeros(TILE_ROWS * TILE_COLUMNS, np.float32)
    light = grey.astype(np.float32)
    bends = 2 * light[:, 1:-1] - light[:, :-2] - light[:, 2:]
    noise = _tiles(np.abs(bends), rows, columns) ** 2 * np.float32(np.pi / 2)
    energy = np.maximum(_tiles(bends * bends, rows, columns) - noise, 0)
    relative = energy / (_tiles(light, rows, columns) + _DARK) ** 2
    return np.asarray(relative, np.float32)


_DARK: Final = 16.0
"""Levels, of 255, below which noise is more than light."""


def _tiles(values: F32, rows: int, columns: int) -> F32:
    """Means over tiles of `rows` x `columns`."""
    whole = values[: rows * TILE_ROWS, : columns * TILE_COLUMNS]
    parts = whole.reshape(TILE_ROWS, rows, TILE_COLUMNS, columns)
    return np.asarray(parts.mean(axis=(1, 3)).ravel(), np.float32)
