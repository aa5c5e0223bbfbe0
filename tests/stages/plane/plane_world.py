"""A camera over flat ground, people who walk on it, and boxes that jitter as boxes do."""

import numpy as np

from pipeline.core.arrays import F64, I64
from stages.plane import Homography, SpeedMeter, SpeedParams
from stages.sources.street.camera import Camera

CAMERA = Camera(1920, 1080, (0.0, 0.0, 6.0), 0.0, 20.0, 70.0)
STATURE_M = 1.7
CORNERS = np.array([(-4.0, 8.0), (4.0, 8.0), (8.0, 30.0), (-8.0, 30.0)])


def homography(camera: Camera = CAMERA) -> Homography:
    """From four points of the ground."""
    return Homography.fit(project(camera, CORNERS), CORNERS)


def meter(params: SpeedParams | None = None, camera: Camera = CAMERA) -> SpeedMeter:
    """Over that ground."""
    return SpeedMeter(homography(camera), params or SpeedParams(), camera.width, camera.height)


def project(camera: Camera, ground: F64, height_m: float = 0.0) -> F64:
    """(N, 2) metres -> (N, 2) pixels of what is so high above them."""
    return camera.project(np.column_stack([ground, np.full(len(ground), height_m)]))


def boxes(camera: Camera, ground: F64) -> F64:
    """(N, 4) of people who stand there."""
    feet, heads = project(camera, ground), project(camera, ground, STATURE_M)
    tall = feet[:, 1] - heads[:, 1]
    return np.column_stack(
        [feet[:, 0] - tall / 6, feet[:, 1] - tall, feet[:, 0] + tall / 6, feet[:, 1]]
    )


class Jitter:
    """Errors of boxes as `SpeedParams` states them, correlated in time."""

    def __init__(self, count: int, params: SpeedParams, rng: np.random.Generator) -> None:
        self._params, self._rng = params, rng
        self._units = rng.normal(size=(count, 2))

    def after(self, step_s: float, xyxy: F64, height: int) -> F64:
        """Moved boxes."""
        given = self._params
        alike = np.exp(-step_s / given.jitter_s)
        fresh = self._rng.normal(size=self._units.shape)
        self._units = alike * self._units + np.sqrt(1 - alike**2) * fresh
        shares = (given.jitter_side, given.jitter)
        sides = (xyxy[:, 2:] - xyxy[:, :2]) * shares
        moved = self._units * np.hypot(sides, given.jitter_floor * height)
        return xyxy + np.tile(moved, 2)


def ids(count: int) -> I64:
    """1 to `count`."""
    return np.arange(1, count + 1, dtype=np.int64)
