"""One box after another, from whatever format, checked before it becomes a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detectors.training.data.dataset import DataFault, Lost, Picture
from detectors.training.data.files import shown

ROUNDING_PX = 1.0
UNKNOWN_SIZE = (math.inf, math.inf)

Size = tuple[float, float]


class Labels:
    """Collects the boxes of the pictures of one dataset, and the faults among them."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.faults: list[DataFault] = []
        self.boxes_read = 0

    def fault(self, file: Path, place: str, what: str, lost: Lost = "box") -> None:
        """Keep account of something wrong."""
        self.faults.append(DataFault(file, place, what, lost))

    def of(self, size: Size) -> PictureLabels:
        """An empty list for a picture of (width, height) pixels."""
        return PictureLabels(self, size)


class PictureLabels:
    """The boxes of one picture."""

    def __init__(self, labels: Labels, size: Size) -> None:
        self._labels, self._size = labels, size
        self._rows: list[tuple[list[float], int, bool, float]] = []

    def add(
        self,
        class_id: Any,
        xyxy: Sequence[float],
        file: Path,
        place: str,
        *,
        crowd: bool = False,
        area: float | None = None,
    ) -> None:
        """Check a box and keep it, clipped to the picture, or say at `place` of `file` why not.

        Up to `ROUNDING_PX` outside is how labels are rounded, and not reported.
        """
        self._labels.boxes_read += 1
        wrong = self._wrong(class_id, xyxy)
        if wrong:
            self._labels.fault(file, place, wrong)
            return
        inside = self._clipped(xyxy)
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            self._labels.fault(file, place, f"box {_text(xyxy)} is outside {self._picture()}")
            return
        if max(abs(a - b) for a, b in zip(inside, xyxy, strict=True)) > ROUNDING_PX:
            what = f"box {_text(xyxy)} reaches outside {self._picture()}, clipped"
            self._labels.fault(file, place, what, "nothing")
        own = (inside[2] - inside[0]) * (inside[3] - inside[1])
        self._rows.append((inside, int(class_id), crowd, own if area is None else area))

    def picture(self, path: Path, labelled: Sequence[int]) -> Picture:
        """The picture with the boxes that were kept."""
        xyxy = np.array([row[0] for row in self._rows], np.float32).reshape(-1, 4)
        class_id = np.array([row[1] for row in self._rows], np.int64)
        crowd = np.array([row[2] for row in self._rows], np.bool_)
        area = np.array([row[3] for row in self._rows], np.float32)
        return Picture(path, tuple(sorted(labelled)), xyxy, class_id, crowd, area)

    def _wrong(self, class_id: Any, xyxy: Sequence[float]) -> str:
        if type(class_id) not in (int, float) or class_id % 1:
            return f"class {shown(class_id)} is not a whole number"
        if not 0 <= class_id < self._labels.classes:
            return f"class {shown(class_id)} is unknown, there are {self._labels.classes}"
        if not all(math.isfinite(value) for value in xyxy):
            return f"box {_text(xyxy)} is not finite"
        x1, y1, x2, y2 = xyxy
        if x1 > x2 or y1 > y2:
            return f"box {_text(xyxy)} is reversed"
        if x1 == x2 or y1 == y2:
            return f"box {_text(xyxy)} is empty"
        return ""

    def _clipped(self, xyxy: Sequence[float]) -> list[float]:
        width, height = self._size
        limits = (width, height, width, height)
        return [min(max(v, 0.0), limit) for v, limit in zip(xyxy, limits, strict=True)]

    def _picture(self) -> str:
        width, height = self._size
        return f"the picture of {width:g}x{height:g}" if math.isfinite(width) else "the picture"


def _text(xyxy: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in xyxy)}]"
