"""Shadows, lamps, beams, weather and sensor noise over a painted picture."""

import cv2
import numpy as np

from stages.sources.street.camera import F64, U8
from stages.sources.street.layout import Layout
from stages.sources.street.mood import Mood
from stages.sources.street.painter import SHIFT, fixed
from stages.sources.street.palette import Colour

WINDOW: Colour = (255, 206, 128)
COARSE = 4
UNIT = 128
TILES = 2


class Lighting:
    """The light of one scene; `shade`, `expose` and `finish` are called once a frame in order."""

    def __init__(self, layout: Layout, mood: Mood, glow: U8, rng: np.random.Generator) -> None:
        self._camera, self._mood = layout.camera, mood
        self._size = (layout.camera.width, layout.camera.height)
        self._small = (self._size[0] // COARSE, self._size[1] // COARSE)
        self._still = self._light_map(layout, glow)
        warm = np.array(WINDOW) * (0.62 if mood.ambient[0] > 0.5 else 0.85) / 255
        self._windows = np.rint(glow[..., None] * warm).astype(np.uint8)
        self._fixed = resize(self._still, self._size)
        shape = (self._size[1] + 64, self._size[0] + 64, 3)
        self._noise = [noise_tile(rng, shape, mood.noise) for _ in range(TILES)]
        self._streaks = [streaks(rng, self._size, mood.weather) for _ in range(4)]

    def shade(self, image: U8, hulls: list[F64], contacts: list[F64]) -> None:
        """Darkens the ground under cast shadows and where things touch it."""
        half = (self._size[0] // 2, self._size[1] // 2)
        cast: U8 = np.zeros((half[1], half[0]), dtype=np.uint8)
        touch: U8 = np.zeros_like(cast)
        for hull in hulls:
            cv2.fillConvexPoly(
                cast, fixed(hull / 2), (255 * self._mood.shadow,), cv2.LINE_AA, SHIFT
            )
        for hull in contacts:
            cv2.fillConvexPoly(touch, fixed(hull / 2), (110,), cv2.LINE_AA, SHIFT)
        touch = np.asarray(cv2.blur(touch, (7, 5)), dtype=np.uint8)
        dark = cv2.bitwise_not(cv2.max(cv2.blur(cast, (3, 3)), touch))
        cover = cv2.cvtColor(
            resize(np.asarray(dark, dtype=np.uint8), self._size), cv2.COLOR_GRAY2RGB
        )
        cv2.multiply(image, cover, image, 1 / 255)

    def expose(
        self, image: U8, free: U8, beams: list[F64], lamps: list[tuple[F64, float, Colour]]
    ) -> None:
        """Multiplies in the light of the hour and the beams (ground polygons); then windows shine
        where `free` (H, W) is not 0, and lamps (pixel, radius in pixels, colour) everywhere."""
        if not self._mood.lamps_on:
            cv2.multiply(image, self._fixed, image, 1 / UNIT)
            return
        level = self._still
        if beams:
            cone: U8 = np.zeros((self._small[1], self._small[0]), dtype=np.uint8)
            for beam in beams:
                layer = np.zeros_like(cone)
                cv2.fillConvexPoly(layer, fixed(beam / COARSE), (44,), cv2.LINE_AA, SHIFT)
                cone = np.asarray(cv2.add(cone, layer), dtype=np.uint8)
            cone = np.asarray(cv2.GaussianBlur(cone, (0, 0), 2.6), dtype=np.uint8)
            level = np.asarray(cv2.add(level, cv2.merge([cone, cone, cone])), dtype=np.uint8)
        cv2.multiply(image, resize(level, self._size), image, 1 / UNIT)
        cv2.add(image, self._windows, image, free)
        self._halos(image, lamps)

    def _halos(self, image: U8, lamps: list[tuple[F64, float, Colour]]) -> None:
        halo: U8 = np.zeros((self._small[1], self._small[0], 3), dtype=np.uint8)
        for at, radius, colour in lamps:
            spot = fixed(at[None])[0]
            cv2.circle(
                image, spot.tolist(), int(max(radius, 0.7) * 16), colour, -1, cv2.LINE_AA, SHIFT
            )
            small = fixed(at[None] / COARSE)[0]
            wide = int(min(max(radius * 2.4, 4.0), 30) / COARSE * 16)
            dim = [part * 0.55 for part in colour]
            cv2.circle(halo, small.tolist(), wide, dim, -1, cv2.LINE_AA, SHIFT)
        halo = np.asarray(cv2.GaussianBlur(halo, (0, 0), 2.2), dtype=np.uint8)
        cv2.add(image, resize(halo, self._size), image)

    def finish(self, image: U8, frame: int) -> None:
        """Rain or snow, then sensor noise; the same frame number adds the same noise."""
        width, height = self._size
        streak = self._streaks[frame % len(self._streaks)]
        if streak is not None:
            shift = (frame * 37) % width
            cv2.add(image, np.roll(streak, shift, axis=1), image)
        mix = (frame * 2654435761) & 0xFFFFFFFF
        dx, dy = mix % 64, (mix >> 8) % 64
        tile = self._noise[frame % TILES][dy : dy + height, dx : dx + width]
        cv2.addWeighted(image, 1.0, tile, 1.0, -UNIT, image)

    def _light_map(self, layout: Layout, glow: U8) -> U8:
        """(h, w, 3) light by coarse pixel, UNIT = as painted: the hour, vignette, street lamps."""
        small = layout.camera
        rows, columns = np.mgrid[0 : self._small[1], 0 : self._small[0]]
        x, y = columns * COARSE + COARSE / 2, rows * COARSE + COARSE / 2
        r2 = ((x / small.width - 0.5) ** 2 + (y / small.height - 0.5) ** 2) * 2
        level = np.array(self._mood.ambient)[None, None] * (1 - 0.16 * r2)[..., None]
        if self._mood.lamps_on:
            pools = self._pools(layout, x, y)
            level = level + pools[..., None] * np.array((0.62, 0.5, 0.32))
            windows = cv2.resize(glow, self._small, interpolation=cv2.INTER_AREA) / 255
            spill = cv2.GaussianBlur(windows, (0, 0), 5)
            level = level + spill[..., None] * 0.3 * np.array((1.0, 0.78, 0.46))
        scaled: U8 = np.clip(level * UNIT, 0, 1.35 * UNIT).astype(np.uint8)
        return scaled

    def _pools(self, layout: Layout, x: F64, y: F64) -> F64:
        """Warm light on the ground under every street lamp."""
        pixels = np.column_stack([x.ravel(), y.ravel()]).astype(np.float64)
        below = pixels[:, 1] > self._camera.horizon_px + 2
        where = self._camera.ground(pixels)
        light = np.zeros(len(pixels))
        for post in layout.posts:
            gap = (where - (post.x + post.dx, post.y + post.dy)) / (0.95 * post.height_m)
            light += 1.25 / (1 + (gap**2).sum(axis=1) * 1.6) ** 2
        light = np.where(below, np.minimum(light, 1.5), 0.12)
        return np.asarray(cv2.GaussianBlur(light.reshape(x.shape), (0, 0), 2), dtype=np.float64)


def resize(image: U8, size: tuple[int, int]) -> U8:
    resized: U8 = np.asarray(
        cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8
    )
    return resized


def noise_tile(rng: np.random.Generator, shape: tuple[int, int, int], sigma: float) -> U8:
    """Sensor noise around UNIT: mostly in brightness, a little in colour."""
    grey = rng.normal(0, sigma, (*shape[:2], 1)).astype(np.float32)
    tint = rng.normal(0, sigma * 0.45, shape).astype(np.float32)
    tile: U8 = np.clip(np.rint(UNIT + grey + tint), 0, 255).astype(np.uint8)
    return tile


def streaks(rng: np.random.Generator, size: tuple[int, int], weather: str) -> U8 | None:
    """A layer of falling rain or snow to add, or None in dry weather."""
    if weather not in ("rain", "snow"):
        return None
    width, height = size
    layer = np.zeros((height, width), dtype=np.uint8)
    for _ in range(width * height // (1500 if weather == "rain" else 1800)):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        if weather == "rain":
            long = int(rng.integers(6, 22))
            cv2.line(
                layer,
                (x, y),
                (x + long // 6, y + long),
                (int(rng.integers(14, 40)),),
                1,
                cv2.LINE_AA,
            )
        else:
            cv2.circle(
                layer,
                (x, y),
                int(rng.integers(1, 3)),
                (int(rng.integers(50, 140)),),
                -1,
                cv2.LINE_AA,
            )
    return np.asarray(cv2.cvtColor(layer, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
