"""A pinhole camera over a flat ground.

World: x to the right, y away, z up, metres. Picture: x to the right, y down, pixels.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

NEAR_M = 0.4
REACH_PX = 1e6


@dataclass(frozen=True)
class Camera:
    """Where the camera hangs and how it looks: yaw turns right, pitch looks down, degrees."""

    width: int
    height: int
    position: tuple[float, float, float]
    yaw_deg: float
    pitch_deg: float
    hfov_deg: float

    @cached_property
    def focal_px(self) -> float:
        return float(self.width / 2 / np.tan(radians(self.hfov_deg) / 2))

    @cached_property
    def origin(self) -> F64:
        return np.array(self.position, dtype=np.float64)

    @cached_property
    def axes(self) -> F64:
        """(3, 3): rows right, down, forward, each a unit vector in the world."""
        yaw, pitch = radians(self.yaw_deg), radians(self.pitch_deg)
        forward = (sin(yaw) * cos(pitch), cos(yaw) * cos(pitch), -sin(pitch))
        right = (cos(yaw), -sin(yaw), 0.0)
        down = (-sin(yaw) * sin(pitch), -cos(yaw) * sin(pitch), -cos(pitch))
        return np.array([right, down, forward], dtype=np.float64)

    @cached_property
    def horizon_px(self) -> float:
        """Picture row of the horizon; may lie outside the picture."""
        return float(self.height / 2 - self.focal_px * np.tan(radians(self.pitch_deg)))

    def view(self, points: F64) -> F64:
        """(N, 3) world -> (N, 3) camera: right, down, depth in metres."""
        seen: F64 = (points - self.origin) @ self.axes.T
        return seen

    def flatten(self, seen: F64) -> F64:
        """(N, 3) camera -> (N, 2) pixels; what is nearer than NEAR_M counts as at NEAR_M."""
        depth = np.maximum(seen[:, 2:], NEAR_M)
        pixels = seen[:, :2] / depth * self.focal_px + (self.width / 2, self.height / 2)
        return np.clip(pixels, -REACH_PX, REACH_PX)

    def project(self, points: F64) -> F64:
        """(N, 3) world -> (N, 2) pixels."""
        return self.flatten(self.view(points))

    def polygon(self, points: F64) -> F64 | None:
        """One world polygon (N, 3) -> pixels (M, 2), cut at the near plane; None when behind."""
        seen = clip_near(self.view(points))
        return None if len(seen) < 3 else self.flatten(seen)

    def ground(self, pixels: F64) -> F64:
        """(N, 2) pixels below the horizon -> (N, 2) world x, y on the ground."""
        rays = np.column_stack(
            [(pixels - (self.width / 2, self.height / 2)) / self.focal_px, np.ones(len(pixels))]
        )
        world = rays @ self.axes
        scale = self.position[2] / np.maximum(-world[:, 2], 1e-6)
        return self.origin[:2] + world[:, :2] * scale[:, None]

    def scaled(self, factor: int) -> "Camera":
        """The same view with `factor` times the pixels each way."""
        return replace(self, width=self.width * factor, height=self.height * factor)


def clip_near(seen: F64) -> F64:
    """Sutherland-Hodgman against the near plane, for one polygon in camera coordinates."""
    if seen[:, 2].min() >= NEAR_M:
        return seen
    kept: list[F64] = []
    for here, there in zip(seen, np.roll(seen, -1, axis=0), strict=True):
        if here[2] >= NEAR_M:
            kept.append(here)
        if (here[2] >= NEAR_M) != (there[2] >= NEAR_M):
            kept.append(here + (there - here) * ((NEAR_M - here[2]) / (there[2] - here[2])))
    return np.array(kept) if kept else np.empty((0, 3))
