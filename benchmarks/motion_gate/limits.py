"""What wakes a stream at rest, and how soon: by size, contrast and speed, in cells of the gate."""

from typing import Final

import numpy as np

from pipeline.core.arrays import F64, U8
from stages.picture_change import PictureChange

ROWS, COLUMNS, FPS = 108, 192, 12.5
WIDTHS: Final = (1, 2, 3, 5)
"""Of an object twice as high, cells. At 1080p a cell has 10 px, at 960 x 540 it has 5."""
CONTRASTS: Final = (6, 10, 15, 30)
"""Grey levels of 255, against what is behind it."""
SPEEDS: Final = (0.2, 1.0, 5.0)
"""Cells a second."""
NOISE, SETTLE_S, WATCH_S = 1.5, 4.0, 20.0


def measure_limits(sensitivity: float = 0.5) -> list[dict[str, float | None]]:
    """A row for each: `wakes_s` after it has come in from the side; None: not within 20 s."""
    return [
        {
            "width_cells": width, "contrast": contrast, "cells_per_s": speed,
            "wakes_s": _wakes_s(width, contrast, speed, sensitivity),
        }
        for width in WIDTHS for contrast in CONTRASTS for speed in SPEEDS
    ]  # fmt: skip


def _wakes_s(width: int, contrast: float, speed: float, sensitivity: float) -> float | None:
    rng = np.random.default_rng(5)
    coarse = rng.uniform(60, 160, (ROWS // 6, COLUMNS // 6))
    still: F64 = np.kron(coarse, np.ones((6, 6))).astype(np.float64)
    change = PictureChange(sensitivity)
    for _ in range(round(SETTLE_S * FPS)):
        change.update(_picture(still, rng), 1 / FPS)
    for number in range(round(WATCH_S * FPS)):
        levels: F64 = still.copy()
        _put(levels, speed * number / FPS - width, width, contrast)
        if change.update(_picture(levels, rng), 1 / FPS):
            return round(number / FPS, 2)
    return None


def _put(levels: F64, left: float, width: int, contrast: float) -> None:
    """An object with the share of a cell that it covers at its sides."""
    columns = np.arange(COLUMNS)
    covered = np.clip(np.minimum(columns + 1, left + width) - np.maximum(columns, left), 0, 1)
    top = ROWS // 2
    levels[top : top + 2 * width] += contrast * covered


def _picture(levels: F64, rng: np.random.Generator) -> U8:
    seen = np.rint(levels + rng.normal(0, NOISE, levels.shape))
    return np.clip(seen, 0, 255).astype(np.uint8)
