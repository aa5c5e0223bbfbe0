"""Drawing what was found on a picture, for the video sink and the dashboard.

Everything scales with the picture, so that text is as readable in a thumbnail as in 4K.
"""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from pipeline.core.arrays import F32, F64, U8
from pipeline.core.detections import Detections
from pipeline.core.geometry import Line
from pipeline.core.tracks import Tracks
from stages.zones import Direction, LineTotals, ZonePicture

Colour = tuple[int, int, int]
Point = tuple[int, int]

_PALETTE: tuple[Colour, ...] = (
    (64, 196, 255), (255, 176, 59), (124, 222, 106), (255, 111, 97), (190, 145, 255),
    (255, 221, 87), (77, 228, 200), (255, 134, 197), (140, 170, 255), (214, 180, 140),
)  # fmt: skip
_INK: Colour = (18, 22, 28)
_PAPER: Colour = (244, 246, 248)
_LINE: Colour = (255, 214, 64)
_ZONE: Colour = (120, 205, 190)
_CROWDED: Colour = (255, 96, 84)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_REFERENCE_HEIGHT_PX = 720
_LEAST_SCALE = 0.65
_FARTHEST_PX = 30_000


def colour_of(class_id: int) -> Colour:
    """The colour of a class as RGB; the first ten are chosen by hand, the others follow around the
    hue circle."""
    if class_id < len(_PALETTE):
        return _PALETTE[class_id]
    red, green, blue = colorsys.hsv_to_rgb(class_id * 0.618034 % 1, 0.55, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


@dataclass(frozen=True, slots=True)
class LinePicture:
    """A line as it is to be drawn, with its totals of this moment."""

    line: Line
    counts: Mapping[Direction, int]

    @classmethod
    def of(cls, totals: LineTotals) -> "LinePicture":
        """The line as of now: totals go on."""
        return cls(totals.line, totals.counts)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn on a picture; nothing of it changes any more.

    - `labels[class_id]` names a class; a class beyond them is shown by its number.
    - `lines`: drawn with their totals.
    - `zones`: drawn below all else, with how many are inside; in red where these are too many.
    - `caption`: text of the bar at the top; none when empty. ASCII is drawn, the rest as `?`.
    - `detections`: drawn faintly below the tracks, without labels.
    """

    tracks: Tracks
    labels: Sequence[str]
    lines: Sequence[LinePicture] = ()
    zones: Sequence[ZonePicture] = ()
    caption: str = ""
    detections: Detections | None = None


def draw(image: U8, scene: Scene) -> U8:
    """A copy of the (H, W, 3) uint8 RGB `image` with boxes and labels on it."""
    canvas, tracks = _Canvas(image.copy()), scene.tracks
    for zone in scene.zones:
        canvas.area(zone.points, _colour_of_zone(zone))
    if scene.detections is not None:
        _draw_faint(canvas, scene.detections, tracks)
    near_last = np.argsort(tracks.xyxy[:, 3], kind="stable").tolist()
    for row in near_last:
        canvas.box(tracks.xyxy[row], colour_of(int(tracks.class_id[row])))
    for line in scene.lines:
        _draw_line(canvas, line.line)
    for row in near_last:
        _draw_label(canvas, tracks, row, scene.labels)
    _draw_counts(canvas, scene)
    if scene.caption:
        canvas.bar(scene.caption)
    return canvas.image


def _colour_of_zone(zone: ZonePicture) -> Colour:
    return _CROWDED if zone.crowded else _ZONE


def _draw_counts(canvas: "_Canvas", scene: Scene) -> None:
    """Names and numbers of zones and lines."""
    for zone in scene.zones:
        at = zone.points[zone.points[:, 1].argmin()].tolist()
        canvas.chip(f"{zone.name}  {zone.count}", at, _colour_of_zone(zone))
    for line in scene.lines:
        text = f"{line.line.name}  in {line.counts['in']}  out {line.counts['out']}"
        canvas.chip(text, line.line.start, _LINE)


def _draw_label(canvas: "_Canvas", tracks: Tracks, row: int, labels: Sequence[str]) -> None:
    class_id = int(tracks.class_id[row])
    label = labels[class_id] if class_id < len(labels) else f"class {class_id}"
    text = f"{label} {tracks.track_id[row]}  {tracks.score[row]:.2f}"
    left, top, _, _ = canvas.corners(tracks.xyxy[row])
    canvas.chip(text, (left, top), colour_of(class_id))


def _draw_faint(canvas: "_Canvas", detections: Detections, tracks: Tracks) -> None:
    """Thin boxes of those detections that no track stands for."""
    tracked = set(tracks.detection_index.tolist())
    for row in range(len(detections)):
        if row not in tracked:
            left, top, right, bottom = canvas.corners(detections.xyxy[row])
            colour = _mix(colour_of(int(detections.class_id[row])), (128, 128, 128), 0.55)
            cv2.rectangle(canvas.image, (left, top), (right, bottom), colour, 1)


def _draw_line(canvas: "_Canvas", line: Line) -> None:
    """The line, and an arrow in its middle that points to where `in` leads."""
    legs = list(pairwise(line.points))
    for start, end in legs:
        canvas.stroke(_rounded(start), _rounded(end), _LINE)
    start, end = legs[len(legs) // 2]
    middle = np.add(start, end) / 2
    along = np.subtract(end, start)
    to_right = np.array([-along[1], along[0]]) / np.hypot(*along)
    tip = middle + to_right * 26 * canvas.scale
    canvas.arrow(_rounded(middle), _rounded(tip), _LINE)


@dataclass(slots=True)
class _Canvas:
    """A picture to draw on, and the sizes that fit it."""

    image: U8

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
        corners = np.array([_rounded(point) for point in points], np.int32)
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
        x, y = _rounded(at)
        size, pad = self._text_size(text), max(2, round(5 * self.scale))
        height, width = self.image.shape[:2]
        wide, tall = size[0] + 2 * pad, size[1] + 2 * pad
        left = min(max(x - self._stroke_px, 0), max(width - wide, 0))
        top = y - tall if y >= tall else min(max(y, 0), height - tall)
        self._plate((left, top), (left + wide, top + tall), colour)
        self._text(text, (left + pad, top + tall - pad), _ink_on(colour))

    def bar(self, text: str) -> None:
        """A dark translucent bar along the top with the caption."""
        size, pad = self._text_size(text), round(8 * self.scale)
        right = self.image.shape[1] - 1
        self._tint((0, 0), (right, size[1] + 2 * pad), _INK, 0.72)
        self._text(text, (pad + 2, size[1] + pad), _PAPER)

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


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _rounded(point: Sequence[float] | F64) -> Point:
    """Whole pixels, kept where drawing cannot overflow."""
    x, y = np.clip(point, -_FARTHEST_PX, _FARTHEST_PX).round().astype(int).tolist()
    return x, y
