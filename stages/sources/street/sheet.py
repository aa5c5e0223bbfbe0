"""The sheet that still things are painted on, larger than the picture and then reduced."""

import cv2
import numpy as np

from stages.sources.street.camera import F64, U8, Camera
from stages.sources.street.mood import Mood
from stages.sources.street.painter import SHIFT, Cover, fixed
from stages.sources.street.palette import Colour, mix
from stages.sources.street.solid import Point

OVERSAMPLE = 2


class Sheet:
    """`image` (H, W, 3) RGB by daylight, `lit` (H, W) what shines at night, `mask` (H, W) where
    the thing now being painted is; all OVERSAMPLE times the picture's size each way."""

    def __init__(self, camera: Camera, mood: Mood) -> None:
        self.camera, self.mood = camera.scaled(OVERSAMPLE), mood
        shape = (self.camera.height, self.camera.width)
        self.image: U8 = np.zeros((*shape, 3), dtype=np.uint8)
        self.lit: U8 = np.zeros(shape, dtype=np.uint8)
        self.mask: U8 = np.zeros(shape, dtype=np.uint8)

    def veil(self, depth_m: float) -> float:
        """How much of the fog's colour a thing at this depth has taken, 0..1."""
        return 1 - float(np.exp(-depth_m / self.mood.sun.fog_reach_m))

    def fill(self, points: list[Point], colour: Colour, *, hides: bool = False) -> None:
        """A flat world polygon; one that hides counts as part of the thing in `mask`."""
        corners = np.array(points, dtype=np.float64)
        polygon = self.camera.polygon(corners)
        if polygon is None:
            return
        depth = float(np.linalg.norm(corners.mean(axis=0) - self.camera.origin))
        tint = mix(colour, self.mood.sun.fog, self.veil(depth))
        shape = [fixed(polygon)]
        cv2.fillPoly(self.image, shape, tint, cv2.LINE_AA, SHIFT)
        if hides:
            cv2.fillPoly(self.mask, shape, (255,), cv2.LINE_AA, SHIFT)
            cv2.fillPoly(self.lit, shape, (0,), cv2.LINE_8, SHIFT)

    def shine(self, points: list[Point], level: float) -> None:
        """A flat world polygon that gives light at night, `level` 0..1."""
        polygon = self.camera.polygon(np.array(points, dtype=np.float64))
        if polygon is not None:
            cv2.fillPoly(self.lit, [fixed(polygon)], (255 * level,), cv2.LINE_8, SHIFT)

    def shape(self, polygon: F64, colour: Colour) -> None:
        """A polygon (N, 2) of sheet pixels that hides what is behind."""
        cv2.fillPoly(self.image, [fixed(polygon)], colour, cv2.LINE_AA, SHIFT)
        cv2.fillPoly(self.mask, [fixed(polygon)], (255,), cv2.LINE_AA, SHIFT)

    def dot(self, centre: tuple[float, float], radius: float, colour: Colour) -> None:
        """A disc of sheet pixels that hides what is behind."""
        at, size = (int(centre[0] * 16), int(centre[1] * 16)), int(radius * 16)
        cv2.circle(self.image, at, size, colour, -1, cv2.LINE_AA, SHIFT)
        cv2.circle(self.mask, at, size, (255,), -1, cv2.LINE_AA, SHIFT)

    def cover(self, footprint: F64) -> Cover | None:
        """What the mask holds, in picture pixels; None when that is nothing."""
        x, y, w, h = cv2.boundingRect(self.mask)
        x0, y0 = x // OVERSAMPLE, y // OVERSAMPLE
        x1, y1 = -(-(x + w) // OVERSAMPLE), -(-(y + h) // OVERSAMPLE)
        if w == 0 or h == 0:
            return None
        part = self.mask[y0 * OVERSAMPLE : y1 * OVERSAMPLE, x0 * OVERSAMPLE : x1 * OVERSAMPLE]
        blocks = part.reshape(y1 - y0, OVERSAMPLE, x1 - x0, OVERSAMPLE).mean(axis=(1, 3)) / 255
        return Cover(footprint, (x0, y0, x1, y1), blocks[..., None].astype(np.float32))

    def reduced(self) -> tuple[U8, U8]:
        """The image and the lit map in the picture's size."""
        size = (self.camera.width // OVERSAMPLE, self.camera.height // OVERSAMPLE)
        image = cv2.resize(self.image, size, interpolation=cv2.INTER_AREA)
        lit = cv2.resize(self.lit, size, interpolation=cv2.INTER_AREA)
        return np.asarray(image, dtype=np.uint8), np.asarray(lit, dtype=np.uint8)
