"""Cheap augmentation: one affine warp and one colour map per picture, and 2 x 2 mosaics.

A sample is an image (S, S, 3) uint8 RGB with boxes xyxy float32 in its pixels. Every function takes
its own random generator, so a sample is a pure function of the generator's seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from pipeline.core.arrays import F32, F64, I64, U8

PAD_VALUE = 114
MIN_SIDE_PX = 2.0
MOSAIC_SCALE = 0.75


@dataclass(frozen=True, slots=True)
class Sample:
    """An image with its boxes (N, 4) and classes (N,)."""

    image: U8
    xyxy: F32
    class_id: I64


@dataclass(frozen=True, slots=True)
class Strength:
    """How far augmentation goes.

    `scale` is relative to a letterbox of `reference_px`, the size at which the network will run:
    crops of smaller training pictures then show objects as large as they will be. `visible` is the
    share of a box that must remain for it to stay a target.
    """

    scale: tuple[float, float] = (0.6, 1.6)
    colour: float = 1.0
    mosaic: float = 0.4
    visible: float = 0.25
    reference_px: int = 320


STRONG = Strength()
CALM = Strength(scale=(0.85, 1.2), colour=0.4, mosaic=0.05)


def warped(sample: Sample, size: tuple[int, int], strength: Strength, rng: Any) -> Sample:
    """The sample scaled, moved and half of the time mirrored, on a canvas of (width, height)."""
    matrix = _placement(sample.image.shape, size, strength, rng)
    image = cv2.warpAffine(
        sample.image,
        matrix,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(PAD_VALUE,) * 3,
    )
    return _cut(image, _moved(sample.xyxy, matrix), sample.class_id, strength.visible)


def mosaic(samples: list[Sample], size: int, strength: Strength, rng: Any) -> Sample:
    """Four samples around a random point of a `size` x `size` canvas."""
    x, y = (int(size * v) for v in rng.uniform(0.3, 0.7, 2))
    low, high = strength.scale
    strength = replace(strength, scale=(low * MOSAIC_SCALE, high * MOSAIC_SCALE))
    image = np.empty((size, size, 3), np.uint8)
    boxes, classes = [], []
    corners = [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]
    for sample, (left, top, right, bottom) in zip(samples, corners, strict=True):
        part = warped(sample, (right - left, bottom - top), strength, rng)
        image[top:bottom, left:right] = part.image
        boxes.append(part.xyxy + np.array([left, top, left, top], np.float32))
        classes.append(part.class_id)
    return Sample(image, np.concatenate(boxes), np.concatenate(classes))


def recoloured(image: U8, amount: float, rng: Any) -> U8:
    """Saturation, white balance, contrast, brightness and gamma shifted by up to about `amount`."""
    saturation = rng.uniform(1 - 0.6 * amount, 1 + 0.4 * amount)
    if rng.random() < 0.06 * amount:
        saturation = 0.0
    grey = np.array([0.299, 0.587, 0.114])
    gains = 1 + 0.12 * amount * rng.uniform(-1, 1, 3)
    mix = (saturation * np.eye(3) + (1 - saturation) * grey[None]) * gains[:, None]
    contrast, gamma = np.exp(amount * rng.uniform(-0.35, 0.35, 2))
    brightness = 40 * amount * rng.uniform(-1, 1)
    level = 255 * (np.arange(256) / 255) ** gamma
    table = np.clip((level - 128) * contrast + 128 + brightness, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.transform(image, mix), table), np.uint8)


def _placement(shape: Any, size: tuple[int, int], strength: Strength, rng: Any) -> F64:
    """2 x 3 matrix that scales about the reference letterbox and moves within what fits."""
    height, width = shape[:2]
    low, high = strength.scale
    relative = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    scale = relative * strength.reference_px / max(height, width)
    stretch = float(np.exp(rng.uniform(-0.1, 0.1)))
    scale_x, scale_y = scale * stretch, scale / stretch
    slack_x, slack_y = size[0] - width * scale_x, size[1] - height * scale_y
    dx, dy = slack_x * rng.random(), slack_y * rng.random()
    if rng.random() < 0.5:
        scale_x, dx = -scale_x, dx + width * scale_x
    return np.array([[scale_x, 0, dx], [0, scale_y, dy]])


def _moved(xyxy: F32, matrix: F64) -> F32:
    x = xyxy[:, [0, 2]] * matrix[0, 0] + matrix[0, 2]
    y = xyxy[:, [1, 3]] * matrix[1, 1] + matrix[1, 2]
    return np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], 1).astype(np.float32)


def _cut(image: Any, xyxy: F32, class_id: I64, visible: float) -> Sample:
    """Clip boxes to the image and drop what is too small or mostly outside."""
    height, width = image.shape[:2]
    limit = np.array([width, height, width, height], np.float32)
    clipped = np.clip(xyxy, 0, limit)
    before = (xyxy[:, 2:] - xyxy[:, :2]).prod(1)
    sides = clipped[:, 2:] - clipped[:, :2]
    keep = (sides.min(1, initial=np.inf) >= MIN_SIDE_PX) & (sides.prod(1) >= visible * before)
    return Sample(image, clipped[keep], class_id[keep])
