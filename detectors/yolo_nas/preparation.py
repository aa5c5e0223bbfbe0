"""Pictures -> what an engine takes, in memory that is made once."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cv2
import numpy as np

from detectors.base import Grid, TensorSpec
from detectors.letterbox import Transform
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32, U8, AnyArray
from pipeline.core.picture import AnyPicture


class Preparation:
    """Fills batches for the input `spec` of a network with this `processing`.

    Integers where the input has a grid, else floats; behind QuantizeLinear, both are the same. Each
    thread that calls has memory of its own, as much as its largest batch.
    """

    def __init__(self, processing: Processing, spec: TensorSpec) -> None:
        self._processing = processing
        self._steps = None if spec.grid is None else Steps(processing, spec.grid)
        self._own = _Own()

    def batch(self, pictures: Sequence[AnyPicture]) -> tuple[AnyArray, list[Transform]]:
        """B pictures of any sizes -> the input tensor and the way back of each one's boxes. The
        tensor is the caller's until the same thread asks for the next."""
        if self._steps is None:
            return self._floats(pictures)
        height, width = self._processing.input_size
        batch = self._own.integers(len(pictures), height, width, 3)
        transforms = []
        for picture, row in zip(pictures, batch, strict=True):
            transforms.append(self._processing.letterbox.fill(picture, row))
            self._steps.take(row)
        return batch, transforms

    def _floats(self, pictures: Sequence[AnyPicture]) -> tuple[F32, list[Transform]]:
        height, width = self._processing.input_size
        batch = self._own.floats(len(pictures), 3, height, width)
        canvas = self._own.integers(1, height, width, 3)[0]
        transforms = []
        for picture, row in zip(pictures, batch, strict=True):
            transforms.append(self._processing.letterbox.fill(picture, canvas))
            self._processing.normalize(canvas, row)
        return batch, transforms


class _Own(threading.local):
    """The memory of one thread."""

    def __init__(self) -> None:
        self._integers: U8 = np.empty((0, 0, 0, 0), np.uint8)
        self._floats: F32 = np.empty((0, 0, 0, 0), np.float32)

    def integers(self, *shape: int) -> U8:
        """Memory of that shape, what it held last in it."""
        if len(self._integers) < shape[0]:
            self._integers = np.empty(shape, np.uint8)
        return self._integers[: shape[0]]

    def floats(self, *shape: int) -> F32:
        """The same for floats."""
        if len(self._floats) < shape[0]:
            self._floats = np.empty(shape, np.float32)
        return self._floats[: shape[0]]


class Steps:
    """Levels of a picture to the integers of a network's input.

    `table` (1, 256, 3) uint8 is what QuantizeLinear makes of each level of each channel, in the
    order of the network's channels. ONNX: saturate(round(x / scale) + zero point), halves to even.
    """

    def __init__(self, processing: Processing, grid: Grid) -> None:
        real = np.empty((3, 1, 256), np.float32)
        processing.normalize(_LEVELS, real)
        steps = np.rint(real / np.float32(grid.scale)) + grid.zero_point
        self.table: U8 = np.ascontiguousarray(steps.clip(0, 255).transpose(1, 2, 0), np.uint8)
        self._turns = processing.color == "bgr"
        self._factor = 1 / (processing.std[0] * grid.scale)
        self._offset = grid.zero_point - processing.mean[0] * self._factor
        self._is_line = bool((self._on_line(_LEVELS) == self.table).all())

    def take(self, picture: U8) -> None:
        """Turns (height, width, 3) uint8 RGB into the network's integers, in place."""
        if self._turns:
            picture[:] = picture[..., ::-1].copy()
        if self._is_line:
            self._on_line(picture, picture)
        else:
            cv2.LUT(picture, self.table, picture)

    def _on_line(self, levels: U8, out: U8 | None = None) -> U8:
        """A tenth of the time of a table, and for most networks the same for all levels."""
        made = cv2.convertScaleAbs(levels, out, self._factor, self._offset)
        return np.asarray(made, np.uint8)


_LEVELS: U8 = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
