"""Boxes and labels on a picture, in sizes that fit it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.core.arrays import F32, I64, U8

Color = tuple[int, int, int]
Corners = tuple[int, int, int, int]

_HUE_STEP = 0.618034  # of the golden ratio: neighbours in class are far apart in hue
_REFERENCE_PX = 640
_LEAST_TEXT = 0.3  # of OpenCV's font: letters of 7 px, the smallest that can be read
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

    `box_thickness` in pixels, by default as the picture's size asks for. The first box is on top
    and has its text first: a text that finds no room beside those before it is left out.
    """
    canvas = image.copy()
    scale = max(image.shape[:2]) / _REFERENCE_PX
    thick = box_thickness or max(1, round(2 * scale))
    height, width = image.shape[:2]
    limits = np.array([width - 1, height - 1] * 2)
    corners = np.clip(np.rint(np.nan_to_num(xyxy)), 0, limits).astype(int).tolist()
    colors = [color_of(int(number), color_mapping) for number in class_id]
    rows = list(zip(corners, texts, colors, strict=True))
    for (left, top, right, bottom), _, color in rows[::-1]:
        cv2.rectangle(canvas, (left, top), (right, bottom), color, thick, cv2.LINE_AA)
    plates: list[Corners] = []
    for box, text, color in rows:
        _label(canvas, text, box, color, plates)
    return canvas


def _label(canvas: U8, text: str, box: Corners, color: Color, plates: list[Corners]) -> None:
    """Text on a filled plate where none of `plates` is, and that plate to them."""
    size = max(_LEAST_TEXT, 0.5 * max(canvas.shape[:2]) / _REFERENCE_PX)
    stroke = max(1, round(size))
    (wide, tall), below = cv2.getTextSize(text, _FONT, size, stroke)
    pad = max(2, round(3 * size))
    plate = _free_plate(box, wide + 2 * pad, tall + below + pad, canvas.shape[:2], plates)
    if plate is None:
        return
    plates.append(plate)
    left, top, right, bottom = plate
    cv2.rectangle(canvas, (left, top), (right, bottom), color, -1)
    red, green, blue = color
    # Dark or light, whichever reads better (luma of ITU-R BT.601).
    ink = _DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else _LIGHT
    where = (left + pad, bottom - below)
    cv2.putText(canvas, text, where, _FONT, size, ink, stroke, cv2.LINE_AA)


def _free_plate(
    box: Corners, wide: int, tall: int, canvas_px: tuple[int, ...], plates: Sequence[Corners]
) -> Corners | None:
    """On top of a box, else inside it at its top, else below it, in the picture; None if none of
    these is free."""
    height, width = canvas_px
    left = max(0, min(box[0], width - wide))
    for top in (box[1] - tall, box[1], box[3]):
        plate = (left, top, left + wide, top + tall)
        if 0 <= top <= height - tall and not any(_overlap(plate, other) for other in plates):
            return plate
    return None


def _overlap(a: Corners, b: Corners) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
