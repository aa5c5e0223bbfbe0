"""What stands still, seen by a camera that moves: textured ground, walls around, and far hills.

Every pixel's ray is met with planes that are fixed in the world, so that the picture of what is
still moves exactly as the camera does, near things more than far ones.
"""

import cv2
import numpy as np

from pipeline.core.arrays import F32, F64, U8, Bool
from stages.sources.street.camera import Camera

SIZE_PX = 512
FINE_PX_PER_M, COARSE_PX_PER_M = 32.0, 4.0
FADE_M = 14.0
WALL_PX_PER_M = 24.0
FAR_PX_PER_RAD = 1000.0


class Surroundings:
    """Walls stand at x = -`side_m`, x = `side_m` and y = `end_m`, `wall_m` high; `still` is what
    they and the ground look like, drawn from a seed."""

    def __init__(self, seed: int, side_m: float, end_m: float, wall_m: float) -> None:
        rng = np.random.default_rng([seed, 10])
        self._side_m, self._end_m, self._wall_m = side_m, end_m, wall_m
        tone = rng.uniform(100, 165) + np.array([2.0, 0.0, -6.0])
        self._fine = _paving(rng, tone, FINE_PX_PER_M)
        self._coarse = _paving(rng, tone, COARSE_PX_PER_M)
        self._wall = _facades(rng, round(wall_m * WALL_PX_PER_M))
        self._far = _panorama(rng)

    def draw(self, camera: Camera) -> U8:
        """(H, W, 3) RGB."""
        rays = _rays(camera)
        x, y, z = (rays[..., axis] for axis in range(3))
        far = np.float32(1e9)
        eye_x, eye_y, eye_z = camera.position
        with np.errstate(divide="ignore", invalid="ignore"):
            to_ground = np.where(z < -1e-6, -eye_z / z, far)
            to_side = (np.sign(x) * self._side_m - eye_x) / x
            to_end = np.where(y > 1e-6, (self._end_m - eye_y) / y, far)
        to_side = np.where(to_side > 0, to_side, far)
        to_wall = np.minimum(to_side, to_end)
        at_wall = eye_z + to_wall * z
        image = self._panorama(x, y, z)
        wall = (to_wall < far) & (at_wall >= 0) & (at_wall < self._wall_m) & (to_wall < to_ground)
        along = np.where(to_side < to_end, eye_y + to_wall * y, eye_x + to_wall * x)
        self._put(image, wall, self._wall, along, self._wall_m - at_wall, WALL_PX_PER_M)
        ground = (to_ground < to_wall) & (to_ground < far)
        self._put_ground(image, ground, eye_x + to_ground * x, eye_y + to_ground * y, to_ground)
        return image

    def _put(self, image: U8, where: Bool, of: U8, u: F32, v: F32, px_per_m: float) -> None:
        if where.any():
            image[where] = _sampled(of, u[where], v[where], px_per_m)

    def _put_ground(self, image: U8, where: Bool, u: F32, v: F32, distance: F32) -> None:
        """Fine grain near by, coarse grain far away, where fine grain would flicker."""
        if not where.any():
            return
        near = np.exp(-distance[where] / np.float32(FADE_M))[:, None]
        fine = _sampled(self._fine, u[where], v[where], FINE_PX_PER_M)
        coarse = _sampled(self._coarse, u[where], v[where], COARSE_PX_PER_M)
        image[where] = np.rint(coarse + (fine.astype(np.float32) - coarse) * near).astype(np.uint8)

    def _panorama(self, x: F32, y: F32, z: F32) -> U8:
        turn = np.arctan2(x, y) * np.float32(FAR_PX_PER_RAD)
        rise = np.arctan2(z, np.hypot(x, y)) * np.float32(FAR_PX_PER_RAD)
        row = np.clip(self._far.shape[0] * 0.8 - rise, 0, self._far.shape[0] - 1)
        width = np.float32(self._far.shape[1])
        column = np.mod(turn + width / 2, width)  # its seam lies behind the camera
        return _remapped(self._far, column, row.astype(np.float32))


def _rays(camera: Camera) -> F32:
    """(H, W, 3) directions in the world, one metre forward each."""
    u = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal_px
    v = (np.arange(camera.height) + 0.5 - camera.height / 2) / camera.focal_px
    right, down, forward = camera.axes
    rays: F64 = u[None, :, None] * right + v[:, None, None] * down + forward
    return rays.astype(np.float32)


def _sampled(texture: U8, u: F32, v: F32, px_per_m: float) -> U8:
    """(N, 3) colours at (N,) metres of a texture that repeats."""
    height, width = texture.shape[:2]
    column = np.mod(u * np.float32(px_per_m), np.float32(width))
    row = np.mod(v * np.float32(px_per_m), np.float32(height))
    colours: U8 = _remapped(texture, column[None], row[None])[0]
    return colours


def _remapped(texture: U8, column: F32, row: F32) -> U8:
    # OpenCV refuses destinations of more than 32767 columns.
    count = column.shape[1]
    parts = [
        cv2.remap(
            texture, column[:, low : low + 32000], row[:, low : low + 32000],
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP,
        )
        for low in range(0, count, 32000)
    ]  # fmt: skip
    return np.concatenate([np.asarray(part, np.uint8) for part in parts], axis=1)


def _paving(rng: np.random.Generator, tone: F64, px_per_m: float) -> U8:
    """Slabs of two metres, each of its own shade, with joints, stains and grain."""
    slabs = round(SIZE_PX / px_per_m / 2)
    shades = rng.normal(0, 9, (slabs, slabs)).astype(np.float32)
    level = cv2.resize(shades, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_NEAREST)
    for cells, strength in ((8, 8), (32, 7), (128, 6), (SIZE_PX, 5)):
        noise = rng.normal(0, strength, (cells, cells)).astype(np.float32)
        level = level + cv2.resize(noise, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_CUBIC)
    step = SIZE_PX // slabs
    level[::step], level[:, ::step] = level[::step] - 26, level[:, ::step] - 26
    paved: U8 = np.clip(tone + level[..., None], 0, 255).astype(np.uint8)
    return paved


def _facades(rng: np.random.Generator, height_px: int) -> U8:
    """A row of houses of 4 to 9 m with windows."""
    width = 1536
    image: U8 = np.zeros((height_px, width, 3), np.uint8)
    x = 0
    while x < width:
        wide = int(rng.uniform(4, 9) * WALL_PX_PER_M)
        tone = rng.uniform(100, 205) + rng.normal(0, 12, 3)
        image[:, x : x + wide] = tone
        pane = rng.uniform(0.18, 0.5) * tone
        for left in range(x + 14, min(x + wide, width) - 26, 40):
            for top in range(20, height_px - 60, 62):
                image[top : top + 36, left : left + 22] = pane * rng.uniform(0.6, 1.3)
        x += wide
    grain = rng.normal(0, 5, image.shape[:2])[..., None]
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def _panorama(rng: np.random.Generator) -> U8:
    """Sky with clouds over a jagged line of roofs and trees, all around."""
    width, height = round(2 * np.pi * FAR_PX_PER_RAD), 700
    part = np.linspace(0, 1, height)[:, None, None]
    sky = np.array((118, 160, 212)) * (1 - part) + np.array((214, 224, 232)) * part
    noise = rng.normal(0, 1, (12, 90)).astype(np.float32)
    cloud = np.clip(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    image = np.clip(sky + 40 * cloud[..., None], 0, 255).astype(np.uint8)
    x = 0
    while x < width:
        wide, tall = int(rng.uniform(14, 90)), int(rng.uniform(10, 60))
        horizon = int(height * 0.8)
        image[horizon - tall :, x : x + wide] = rng.uniform(70, 150, 3)
        x += wide
    return image
