"""The augmentations of the recipes that were published with YOLO-NAS, as data.

They follow the numbers of the public recipes for COCO and for fine-tuning. Boxes that a cut leaves
without area are dropped everywhere; the recipes only drop them where they filter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from detectors.training.augment import PAD_VALUE, Sample
from pipeline.core.arrays import F32, U8, Bool

HUES = 180  # OpenCV's hue in a byte is half the angle


@dataclass(frozen=True, slots=True)
class BoxFilter:
    """Boxes are dropped when, after a warp, a side is below `side_px`, the area is below
    `area_share` of that before it, or one side is over `aspect` times the other."""

    side_px: float = 2.0
    area_share: float = 0.1
    aspect: float = 20.0

    def keeps(self, before: F32, after: F32) -> Bool:
        """(N,) which of the boxes stay, given xyxy (N, 4) before and after, clipped."""
        old, new = before[:, 2:] - before[:, :2], after[:, 2:] - after[:, :2]
        long, short = new.max(axis=1, initial=0), new.min(axis=1, initial=np.inf)
        well_shaped = (short >= self.side_px) & (long <= self.aspect * short)
        kept: Bool = well_shaped & (new.prod(axis=1) >= self.area_share * old.prod(axis=1))
        return kept


@dataclass(frozen=True, slots=True)
class Published:
    """A recipe: its steps in the order of its fields, each with its chance or its range.

    `translate` is a share of the output, `hsv` the most that is added to hue (of 180), saturation
    and value; each of these three is changed half of the time that `hsv_chance` leaves.
    """

    keeps_empty: bool
    mosaic: bool
    translate: float
    scale: tuple[float, float]
    border: int
    box_filter: BoxFilter | None
    channel_reversal: float
    hsv_chance: float
    hsv: tuple[int, int, int]
    flip: float
    mixup: float
    mixup_scale: tuple[float, float] = (0.5, 1.5)

    def made(
        self,
        first: Sample,
        another: Callable[[], Sample],
        size: int,
        calm: bool,
        rng: np.random.Generator,
    ) -> Sample:
        """See `Policy`. The recipes know no calm end."""
        if self.mosaic:
            first = mosaic_of_four([first, *(another() for _ in range(3))], size, rng)
        sample = self._warped(first, size if self.mosaic else None, rng)
        image = sample.image
        if rng.random() < self.channel_reversal:
            image = np.ascontiguousarray(image[..., ::-1])
        if rng.random() < self.hsv_chance:
            image = hsv_shifted(image, self.hsv, rng)
        sample = Sample(image, sample.xyxy, sample.class_id)
        if rng.random() < self.flip:
            sample = mirrored(sample)
        if rng.random() < self.mixup:
            sample = mixed(sample, another(), size, self.mixup_scale, rng)
        return padded_rescale(sample, size)

    def _warped(self, sample: Sample, side: int | None, rng: np.random.Generator) -> Sample:
        """Scaled about its centre, which moves; on a canvas of `side`, or as large as before."""
        height, width = sample.image.shape[:2]
        out = (side or width, side or height)
        scale = rng.uniform(*self.scale)
        move = rng.uniform(0.5 - self.translate, 0.5 + self.translate, 2) * out
        dx, dy = move - scale * np.array([width // 2, height // 2])
        image: Any = cv2.warpAffine(
            sample.image,
            np.array([[scale, 0, dx], [0, scale, dy]]),
            out,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(self.border,) * 3,
        )
        offset = np.array([dx, dy, dx, dy], np.float32)
        return _cut(sample, image, sample.xyxy * np.float32(scale) + offset, self.box_filter)


COCO = Published(
    keeps_empty=False,
    mosaic=False,
    translate=0.25,
    scale=(0.5, 1.5),
    border=PAD_VALUE,
    box_filter=BoxFilter(),
    channel_reversal=0.5,
    hsv_chance=0.5,
    hsv=(18, 30, 30),
    flip=0.5,
    mixup=0.5,
)

FINETUNE = Published(
    keeps_empty=True,
    mosaic=True,
    translate=0.1,
    scale=(0.5, 1.5),
    border=128,
    box_filter=None,
    channel_reversal=0.0,
    hsv_chance=1.0,
    hsv=(5, 30, 30),
    flip=0.5,
    mixup=0.0,
)


def hsv_shifted(image: U8, most: tuple[int, int, int], rng: np.random.Generator) -> U8:
    """Each of hue, saturation and value is changed by up to its most, half of the time."""
    add = rng.uniform(-1, 1, 3) * most * rng.integers(0, 2, 3)
    hue, saturation, value = (int(v) for v in add)
    levels = np.arange(256)
    tables = (
        (levels + hue) % HUES,
        np.clip(levels + saturation, 0, 255),
        np.clip(levels + value, 0, 255),
    )
    table = np.stack(tables, axis=-1).astype(np.uint8)[None]
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), table)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def mirrored(sample: Sample) -> Sample:
    """Left and right exchanged."""
    width = sample.image.shape[1]
    xyxy = sample.xyxy.copy()
    xyxy[:, [0, 2]] = width - sample.xyxy[:, [2, 0]]
    return Sample(np.ascontiguousarray(sample.image[:, ::-1]), xyxy, sample.class_id)


def padded_rescale(sample: Sample, size: int) -> Sample:
    """Scaled to fit `size` x `size`, at the top left, the rest grey."""
    scale = _fitting(sample.image, size)
    scaled = _scaled(sample, scale)
    canvas = np.full((size, size, 3), PAD_VALUE, np.uint8)
    canvas[: scaled.image.shape[0], : scaled.image.shape[1]] = scaled.image
    return _cut(scaled, canvas, scaled.xyxy, None)


def mosaic_of_four(samples: list[Sample], size: int, rng: np.random.Generator) -> Sample:
    """Four samples of up to `size` around a random point of a canvas of twice that."""
    side = 2 * size
    x, y = (int(v) for v in rng.uniform(0.5 * size, 1.5 * size, 2))
    canvas = np.full((side, side, 3), PAD_VALUE, np.uint8)
    parts = []
    for place, sample in enumerate(samples):
        part = _scaled(sample, _fitting(sample.image, size))
        height, width = part.image.shape[:2]
        left, top = x - width * (place % 2 == 0), y - height * (place < 2)
        _paste(canvas, part.image, left, top)
        offset = np.array([left, top, left, top], np.float32)
        parts.append(_cut(part, canvas, part.xyxy + offset, None))
    return Sample(
        canvas,
        np.concatenate([part.xyxy for part in parts]),
        np.concatenate([part.class_id for part in parts]),
    )


def mixed(
    sample: Sample,
    other: Sample,
    size: int,
    scale: tuple[float, float],
    rng: np.random.Generator,
) -> Sample:
    """Half of each. The other one is fitted to `size` at the top left, scaled again by a random
    factor and mirrored half of the time; a random part of it, as large as the first, is used."""
    factor = rng.uniform(*scale)
    second = _scaled(padded_rescale(other, size), factor)
    if rng.random() < 0.5:
        second = mirrored(second)
    height, width = sample.image.shape[:2]
    spare_y = max(second.image.shape[0] - height, 0)
    spare_x = max(second.image.shape[1] - width, 0)
    top, left = int(rng.integers(spare_y + 1)), int(rng.integers(spare_x + 1))
    canvas = np.full_like(sample.image, PAD_VALUE)
    _paste(canvas, second.image, -left, -top)
    moved = second.xyxy - np.array([left, top, left, top], np.float32)
    part = _cut(second, canvas, moved, BoxFilter())
    return Sample(
        np.asarray(cv2.addWeighted(sample.image, 0.5, canvas, 0.5, 0), np.uint8),
        np.concatenate([sample.xyxy, part.xyxy]),
        np.concatenate([sample.class_id, part.class_id]),
    )


def _fitting(image: U8, size: int) -> float:
    longest: int = max(image.shape[:2])
    return size / longest


def _scaled(sample: Sample, scale: float) -> Sample:
    height, width = (max(1, round(side * scale)) for side in sample.image.shape[:2])
    if (height, width) == sample.image.shape[:2]:
        return sample
    image: Any = cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_LINEAR)
    return Sample(image, sample.xyxy * np.float32(scale), sample.class_id)


def _paste(canvas: U8, image: U8, left: int, top: int) -> None:
    """Put an image on a canvas; what reaches beyond it is cut off."""
    height, width = canvas.shape[:2]
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + image.shape[1], width), min(top + image.shape[0], height)
    if x1 < x2 and y1 < y2:
        canvas[y1:y2, x1:x2] = image[y1 - top : y2 - top, x1 - left : x2 - left]


def _cut(before: Sample, image: U8, xyxy: F32, box_filter: BoxFilter | None) -> Sample:
    """Boxes clipped to the image, without those that are empty or that the filter drops."""
    height, width = image.shape[:2]
    clipped = np.clip(xyxy, 0, np.array([width, height, width, height], np.float32))
    kept = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    if box_filter is not None:
        kept &= box_filter.keeps(before.xyxy, clipped)
    return Sample(image, clipped[kept], before.class_id[kept])
