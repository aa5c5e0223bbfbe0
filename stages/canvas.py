"""A picture to draw on, in sizes that fit it: text is as readable in a thumbnail as in 4K."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from pipeline.core.arrays import F32, F64, U8

Colour = tuple[int, int, int]
Point = tuple[int, int]
Plate = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""

_INK: Final[Colour] = (18, 22, 28)
_PAPER: Final[Colour] = (244, 246, 248)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_REFERENCE_HEIGHT_PX: Final = 720
_LEAST_SCALE: Final = 0.65
_FARTHEST_PX: Final = 30_000


@dataclass(slots=True)
class Canvas:
    """A picture to draw on, the sizes that fit it, and where text is already."""

    image: U8
    _plates: list[Plate] = field(default_factory=list)
    _bar_px: int = 0

    @property
    def scale(self) -> float:
        height: int = self.image.shape[0]
        return max(height / _REFERENCE_HEIGHT_PX, _LEAST_SCALE)

    @property
    def _stroke_px(self) -> int:
        return max(1, round(2 * self.scale))

    def corners(self, xyxy: F32) -> tuple[int, int, int, int]:
        """Whole pixels of a box (4,), cut to the picture: far outside, drawing would overflow."""
        height, width = self.image.shape[:2]
        limits = np.array([width - 1, height - 1] * 2)
        left, top, right, bottom = np.clip(np.rint(xyxy), 0, limits).astype(int).tolist()
        return left, top, right, bottom

    def box(self, xyxy: F32, colour: Colour) -> None:
        """A tinted, thin-edged box (4,) with stressed corners."""
        left, top, right, bottom = self.corners(xyxy)
        low, high = (left, top), (right, bottom)
        self._tint(low, high, colour, 0.10)
        cv2.rectangle(self.image, low, high, colour, self._stroke_px, cv2.LINE_8)
        reach = round(min(high[0] - low[0], high[1] - low[1], 56 * self.scale) * 0.25)
        thick = self._stroke_px * 2
        for x, inward_x in ((low[0], reach), (high[0], -reach)):
            for y, inward_y in ((low[1], reach), (high[1], -reach)):
                corner = np.array([(x + inward_x, y), (x, y), (x, y + inward_y)], np.int32)
                cv2.polylines(self.image, [corner], False, colour, thick, cv2.LINE_8)

    def area(self, points: F64, colour: Colour) -> None:
        """A tinted polygon (N, 2) with a thin edge."""
        corners = np.array([rounded(point) for point in points], np.int32)
        left, top, width, height = cv2.boundingRect(corners)
        tall, wide = self.image.shape[:2]
        x, y, u, v = max(left, 0), max(top, 0), min(left + width, wide), min(top + height, tall)
        if x < u and y < v:
            part = self.image[y:v, x:u]
            paint = part.copy()
            cv2.fillPoly(paint, [corners - (x, y)], colour)
            cv2.addWeighted(paint, 0.14, part, 0.86, 0, dst=part)
        cv2.polylines(self.image, [corners], True, colour, self._stroke_px, cv2.LINE_AA)

    def chip(self, text: str, at: Sequence[float], colour: Colour) -> None:
        """Text on a filled chip that stands on the point `at`, or hangs from it at the top edge."""
        x, y = rounded(at)
        wide, tall = self._chip_size(text)
        height = self.image.shape[0]
        top = y - tall if y - tall >= self._bar_px else min(max(y, self._bar_px), height - tall)
        self._write(text, (self._left(x, wide), top), colour)

    def label(self, text: str, box: Plate, colour: Colour) -> None:
        """Text above a box, inside it where that is the picture's edge, or else below it: where no
        other text is, or nowhere."""
        left, top, right, bottom = box
        wide, tall = self._chip_size(text)
        above = top - tall if top - tall >= self._bar_px else max(top, self._bar_px)
        aligned = self._left(left, wide), self._left(right - wide + self._stroke_px, wide)
        for x, y in ((x, y) for y in (above, bottom + 1) for x in aligned):
            if self._is_free((x, y, x + wide, y + tall)):
                self._write(text, (x, y), colour)
                return

    def bar(self, text: str) -> None:
        """A dark translucent bar along the top with the caption."""
        size, pad = self._text_size(text), round(8 * self.scale)
        right = self.image.shape[1] - 1
        self._bar_px = size[1] + 2 * pad + 1
        self._tint((0, 0), (right, self._bar_px - 1), _INK, 0.72)
        self._text(text, (pad + 2, size[1] + pad), _PAPER)

    @property
    def _pad_px(self) -> int:
        return max(2, round(5 * self.scale))

    def _chip_size(self, text: str) -> Point:
        width, height = self._text_size(text)
        return width + 2 * self._pad_px, height + 2 * self._pad_px

    def _left(self, x: int, wide: int) -> int:
        """Where a chip begins that belongs to `x`, in the picture."""
        width: int = self.image.shape[1]
        return min(max(x - self._stroke_px, 0), max(width - wide, 0))

    def _is_free(self, plate: Plate) -> bool:
        left, top, right, bottom = plate
        return (
            self._bar_px <= top
            and bottom <= self.image.shape[0]
            and not any(
                left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
                for other in self._plates
            )
        )

    def _write(self, text: str, at: Point, colour: Colour) -> None:
        """A chip with its upper left corner `at`."""
        (left, top), (wide, tall), pad = at, self._chip_size(text), self._pad_px
        self._plates.append((left, top, left + wide, top + tall))
        self._plate(at, (left + wide, top + tall), colour)
        self._text(text, (left + pad, top + tall - pad), _ink_on(colour))

    def stroke(self, start: Point, end: Point, colour: Colour) -> None:
        """A line with a dark rim and round ends."""
        thick = self._stroke_px
        for tone, more in ((_INK, thick + 2), (colour, thick)):
            cv2.line(self.image, start, end, tone, more, cv2.LINE_AA)
            for end_point in (start, end):
                cv2.circle(self.image, end_point, more + thick, tone, -1, cv2.LINE_AA)

    def arrow(self, start: Point, end: Point, colour: Colour) -> None:
        """An arrow with a dark rim."""
        for tone, thick in ((_INK, self._stroke_px + 2), (colour, self._stroke_px)):
            cv2.arrowedLine(self.image, start, end, tone, thick, cv2.LINE_AA, tipLength=0.45)

    def _tint(self, low: Point, high: Point, colour: Colour, share: float) -> None:
        area = self.image[low[1] : high[1] + 1, low[0] : high[0] + 1]
        paint = np.empty_like(area)
        paint[:] = colour
        cv2.addWeighted(paint, share, area, 1 - share, 0, dst=area)

    def _plate(self, low: Point, high: Point, colour: Colour) -> None:
        """A filled rectangle with rounded corners."""
        radius = max(2, round(4 * self.scale))
        (left, top), (right, bottom) = low, high
        in_left, in_top, in_right, in_bottom = (
            left + radius,
            top + radius,
            right - radius,
            bottom - radius,
        )
        cv2.rectangle(self.image, (in_left, top), (in_right, bottom), colour, -1)
        cv2.rectangle(self.image, (left, in_top), (right, in_bottom), colour, -1)
        for x in (in_left, in_right):
            for y in (in_top, in_bottom):
                cv2.circle(self.image, (x, y), radius, colour, -1, cv2.LINE_AA)

    def _text_size(self, text: str) -> Point:
        (width, height), _ = cv2.getTextSize(text, _FONT, self._font_scale, 1)
        return width, height

    @property
    def _font_scale(self) -> float:
        return 0.55 * self.scale

    def _text(self, text: str, origin: Point, colour: Colour) -> None:
        cv2.putText(self.image, text, origin, _FONT, self._font_scale, colour, 1, cv2.LINE_AA)


def _ink_on(colour: Colour) -> Colour:
    """Dark or light, whichever reads better (luma of ITU-R BT.601)."""
    red, green, blue = colour
    return _INK if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else _PAPER


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of the way from one colour to the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def rounded(point: Sequence[float] | F64) -> Point:
    """Whole pixels, kept where drawing cannot overflow."""
    x, y = np.clip(point, -_FARTHEST_PX, _FARTHEST_PX).round().astype(int).tolist()
    return x, y
