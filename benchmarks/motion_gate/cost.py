"""CPU time of the gate for each 1080p frame."""

import time
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from pipeline.core.arrays import U8
from stages.picture_change import PictureChange, luma_size
from stages.sources.colour import BT709, Colour
from stages.sources.planes import YuvPicture

SIZE_PX: Final = (1080, 1920)
ROUNDS, FRAMES = 15, 40


def measure_cost() -> dict[str, float]:
    """Median over rounds, CPU ms a frame: `luma` from the planes, `test` of the gate at rest and
    while something moves."""
    cv2.setNumThreads(1)
    pictures = _pictures()
    lumas = [picture.luma(*luma_size(*SIZE_PX)) for picture in pictures]
    moving = [_with_box(luma, 3 * place) for place, luma in enumerate(lumas)]
    still, busy = PictureChange(), PictureChange()
    kinds: dict[str, Callable[[int], object]] = {
        "luma_ms": lambda n: pictures[n % 4].luma(*luma_size(*SIZE_PX)),
        "at_rest_ms": lambda n: still.update(lumas[n % 4], 0.04),
        "moving_ms": lambda n: busy.update(moving[n % 4], 0.04),
    }
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS + 1):
        for name, call in kinds.items():
            start_ns = time.thread_time_ns()
            for number in range(FRAMES):
                call(number)
            taken[name].append((time.thread_time_ns() - start_ns) / 1e6 / FRAMES)
    return {name: round(float(np.median(values[1:])), 4) for name, values in taken.items()}


def _pictures() -> list[YuvPicture]:
    rng = np.random.default_rng(0)
    height, width = SIZE_PX
    coarse = rng.integers(60, 190, (40, 60), dtype=np.uint8)
    still = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    colour = Colour.of(BT709, full_range=False, height=height)
    noisy = [cv2.add(still, rng.integers(0, 5, SIZE_PX, dtype=np.uint8)) for _ in range(4)]
    return [YuvPicture((np.asarray(y, np.uint8), chroma, chroma), colour) for y in noisy]


def _with_box(luma: U8, left: int) -> U8:
    moved = luma.copy()
    moved[40:60, left : left + 20] = 250
    return moved
