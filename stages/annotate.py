"""Drawing what was found on a picture, for the video sink.

What is drawn, and in which order; `stages.canvas` has the strokes.
"""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.geometry import Line
from pipeline.core.tracks import Tracks
from stages.canvas import Canvas, Colour, mix, rounded
from stages.zones import Direction, LineTotals, ZonePicture

_PALETTE: tuple[Colour, ...] = (
    (64, 196, 255), (255, 176, 59), (124, 222, 106), (255, 111, 97), (190, 145, 255),
    (255, 221, 87), (77, 228, 200), (255, 134, 197), (140, 170, 255), (214, 180, 140),
)  # fmt: skip
_LINE: Colour = (255, 214, 64)
_ZONE: Colour = (120, 205, 190)
_CROWDED: Colour = (255, 96, 84)


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
    """A copy of the (H, W, 3) uint8 RGB `image` with boxes and labels on it.

    The bar, then lines and zones, then the nearest tracks have their text first. The text of a
    track that finds no room beside those is left out: the colour of its box names its class.
    """
    canvas, tracks = Canvas(image.copy()), scene.tracks
    for zone in scene.zones:
        canvas.area(zone.points, _colour_of_zone(zone))
    if scene.detections is not None:
        _draw_faint(canvas, scene.detections, tracks)
    near_last = np.argsort(tracks.xyxy[:, 3], kind="stable").tolist()
    for row in near_last:
        canvas.box(tracks.xyxy[row], colour_of(int(tracks.class_id[row])))
    for line in scene.lines:
        _draw_line(canvas, line.line)
    if scene.caption:
        canvas.bar(scene.caption)
    _draw_counts(canvas, scene)
    for row in reversed(near_last):
        _draw_label(canvas, tracks, row, scene.labels)
    return canvas.image


def _colour_of_zone(zone: ZonePicture) -> Colour:
    return _CROWDED if zone.crowded else _ZONE


def _draw_counts(canvas: Canvas, scene: Scene) -> None:
    """Names and numbers of zones and lines."""
    for zone in scene.zones:
        at = zone.points[zone.points[:, 1].argmin()].tolist()
        canvas.chip(f"{zone.name}  {zone.count}", at, _colour_of_zone(zone))
    for line in scene.lines:
        text = f"{line.line.name}  in {line.counts['in']}  out {line.counts['out']}"
        canvas.chip(text, line.line.start, _LINE)


def _draw_label(canvas: Canvas, tracks: Tracks, row: int, labels: Sequence[str]) -> None:
    class_id = int(tracks.class_id[row])
    label = labels[class_id] if class_id < len(labels) else f"class {class_id}"
    text = f"{label} {tracks.track_id[row]}  {tracks.score[row]:.2f}"
    canvas.label(text, canvas.corners(tracks.xyxy[row]), colour_of(class_id))


def _draw_faint(canvas: Canvas, detections: Detections, tracks: Tracks) -> None:
    """Thin boxes of those detections that no track stands for."""
    tracked = set(tracks.detection_index.tolist())
    for row in range(len(detections)):
        if row not in tracked:
            left, top, right, bottom = canvas.corners(detections.xyxy[row])
            colour = mix(colour_of(int(detections.class_id[row])), (128, 128, 128), 0.55)
            cv2.rectangle(canvas.image, (left, top), (right, bottom), colour, 1)


def _draw_line(canvas: Canvas, line: Line) -> None:
    """The line, and an arrow in its middle that points to where `in` leads."""
    legs = list(pairwise(line.points))
    for start, end in legs:
        canvas.stroke(rounded(start), rounded(end), _LINE)
    start, end = legs[len(legs) // 2]
    middle = np.add(start, end) / 2
    along = np.subtract(end, start)
    to_right = np.array([-along[1], along[0]]) / np.hypot(*along)
    tip = middle + to_right * 26 * canvas.scale
    canvas.arrow(rounded(middle), rounded(tip), _LINE)
