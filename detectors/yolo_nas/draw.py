"""Boxes and labels on a picture, in sizes that fit it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.core.arrays import F32, I64, U8

Color = tuple[int, int, int]

_HUE_STEP = 0.618034  # of the golden ratio: neighbours in class are far apart in hue
_REFERENCE_PX = 640
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_DARK: Color = (16, 20, 26)
_LIGHT: Color = (250, 250, 250)


def color_of(class_id: int, color_mapping: Sequence[Color] | None = None) -> Color:
    """RGB of a class: of the mapping, over again beyond its end, else of a wheel of hues."""
    if color_mapping:
        red, green, blue = color_mapping[class_id % len(color_mapping)]
        return int(red), int(green), int(blue)
    wheel = colorsys.hsv_to_rgb((0.56 + class_id * _HUE_STEP) % 1, 0.62, 1.0)
    red, green, blue = (round(255 * part) for part in wheel)
    return red, green, blue


def draw_boxes(
    image: U8,
    xyxy: F32,
    class_id: I64,
    texts: Sequence[str],
    *,
    box_thickness: int | None = None,
    color_mapping: Sequence[Color] | None = None,
) -> U8:
    """A copy of `image` (H, W, 3) uint8 RGB with boxes (N, 4) and a text for each.

    `box_thickness` in pixels, by default as the picture's size asks for. The first box is on top.
    """
    canvas = image.copy()
    scale = max(image.shape[:2]) / _REFERENCE_PX
    thick = box_thickness or max(1, round(2 * scale))
    height, width = image.shape[:2]
    limits = np.array([width - 1, height - 1] * 2)
    corners = np.clip(np.rint(np.nan_to_num(xyxy)), 0, limits).astype(int).tolist()
    colors = [color_of(int(number), color_mapping) for number in class_id]
    rows = list(zip(corners, texts, colors, strict=True))[::-1]
    for (left, top, right, bottom), _, color in rows:
        cv2.rectangle(canvas, (left, top), (right, bottom), color, thick, cv2.LINE_AA)
    for (left, top, _, _), text, color in rows:
        _label(canvas, text, (left, top), color, max(0.4, 0.5 * scale))
    return canvas


def _label(canvas: U8, text: str, at: tuple[int, int], color: Color, size: float) -> None:
    """Text on a filled plate that stands on the point `at`, or hangs from it at the top edge."""
    stroke = max(1, round(size))
    (wide, tall), below = cv2.getTextSize(text, _FONT, size, stroke)
    pad = max(2, round(3 * size))
    wide, tall = wide + 2 * pad, tall + below + pad
    left = max(0, min(at[0], canvas.shape[1] - wide))
    top = at[1] - tall if at[1] >= tall else at[1]
    cv2.rectangle(canvas, (left, top), (left + wide, top + tall), color, -1)
    red, green, blue = color
    # Dark or light, whichever reads better (luma of ITU-R BT.601).
    ink = _DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else _LIGHT
    where = (left + pad, top + tall - below)
    cv2.putText(canvas, text, where, _FONT, size, ink, stroke, cv2.LINE_AA)
