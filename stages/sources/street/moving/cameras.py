"""Cameras that pan, are held by hand, walk and drive."""

from dataclasses import dataclass
from functools import cached_property
from math import cos, radians, sin

import numpy as np

from pipeline.core.arrays import F64
from stages.sources.street.camera import Camera


@dataclass(frozen=True)
class TiltedCamera(Camera):
    """A camera that also leans to the right, by `roll_deg`."""

    roll_deg: float = 0.0

    @cached_property
    def axes(self) -> F64:
        """See `Camera.axes`."""
        straight = Camera(
            self.width, self.height, self.position, self.yaw_deg, self.pitch_deg, self.hfov_deg
        ).axes
        c, s = cos(radians(self.roll_deg)), sin(radians(self.roll_deg))
        lean = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        leaned: F64 = lean @ straight
        return leaned


@dataclass(frozen=True, slots=True)
class Move:
    """Degrees of trembling, its slowest period, and how far the camera pans, walks and drives."""

    tremble_deg: float = 0.0
    tremble_hz: float = 2.0
    pan_deg: float = 0.0
    pan_period_s: float = 11.0
    forward_mps: float = 0.0
    bob_m: float = 0.0


STEP_S = 1 / 60

MOVES = {
    "static": Move(),
    "pan": Move(pan_deg=16.0, tremble_deg=0.03),
    "handheld": Move(tremble_deg=0.4, tremble_hz=1.0),
    "walking": Move(tremble_deg=0.5, tremble_hz=1.2, forward_mps=1.1, bob_m=0.03, pan_deg=7.0),
    "driving": Move(
        tremble_deg=0.35, tremble_hz=1.4, forward_mps=9.0, pan_deg=9.0, pan_period_s=17.0
    ),
}


def moved(rng: np.random.Generator, camera: Camera, move: Move, times_s: F64) -> list[TiltedCamera]:
    """The camera at every one of the rising times; the same motion whatever times are asked for."""
    fine_s = np.arange(0, float(times_s.max(initial=0)) + STEP_S, STEP_S)
    tremble = [_noise(rng, fine_s, move.tremble_hz) * move.tremble_deg for _ in range(3)]
    start = rng.uniform(0, 2 * np.pi)
    yaw = move.pan_deg * np.sin(2 * np.pi * fine_s / move.pan_period_s + start) + tremble[0]
    pace = np.maximum(0.25, 1 + 0.8 * np.sin(2 * np.pi * fine_s / 13 + start)) * move.forward_mps
    ahead = np.cumsum(pace) * STEP_S
    up = move.bob_m * np.sin(2 * np.pi * 1.9 * fine_s)
    ways = (yaw, tremble[1], 0.6 * tremble[2], ahead, up)
    at = np.stack([np.interp(times_s, fine_s, way) for way in ways], axis=1)
    x, y, z = camera.position
    return [
        TiltedCamera(
            camera.width,
            camera.height,
            (x, y + gone, z + lifted),
            camera.yaw_deg + turned,
            camera.pitch_deg + nodded,
            camera.hfov_deg,
            rolled,
        )
        for turned, nodded, rolled, gone, lifted in at.tolist()
    ]


def _noise(rng: np.random.Generator, t_s: F64, hz: float) -> F64:
    """(T,) smooth noise of about unit size, mostly below `hz`, some up to four times that."""
    rate = rng.uniform(0.15, 1.0, 8) * hz * np.array([1, 1, 1, 1, 1, 2, 3, 4])
    size = np.minimum(1.0, hz / rate) * 0.5
    start = rng.uniform(0, 2 * np.pi, 8)
    noise: F64 = (np.sin(2 * np.pi * t_s[:, None] * rate + start) * size).sum(axis=1)
    return noise
