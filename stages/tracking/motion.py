"""Where tracks are expected: a Kalman filter with constant velocity, over all tracks at once.

With a diagonal process and measurement noise the usual 8 x 8 filter over (cx, cy, w, h) and their
velocities falls apart into four independent filters of two numbers (position, velocity) each, so
the whole step is a few array expressions in closed form, without matrices.

The noise is relative to the size of the box, with the weights of ByteTrack (Zhang et al., ECCV
2022, after DeepSORT): 1/20 for positions and 1/160 for velocities. They are stated per frame at
30 frames a second, hence time is counted in ticks of 1/30 s and variances grow linearly in it.
"""

import math

import numpy as np

from pipeline.core.arrays import F32, F64, AnyArray

TICKS_PER_S = 30.0
_POSITION_WEIGHT = 1 / 20
_VELOCITY_WEIGHT = 1 / 160
_LEAST_SIZE_PX = 1.0
FARTHEST_PX = 1e6  # beyond it, float32 has no room for the sides of a small box


def to_centre(xyxy: AnyArray) -> F64:
    """(N, 4) left, top, right, bottom -> (N, 4) float64 centre x, centre y, width, height."""
    out = np.empty(xyxy.shape, np.float64)
    np.subtract(xyxy[:, 2:], xyxy[:, :2], out=out[:, 2:])
    np.add(xyxy[:, :2], xyxy[:, 2:], out=out[:, :2])
    out[:, :2] *= 0.5
    return out


class Motion:
    """State of T tracks. Rows are tracks; a row number means the same track until `keep`.

    - `mean` (2, T, 4) float64: position and velocity (px per tick) of cx, cy, w, h.
    - `cov` (3, T, 4) float64: variance of position, covariance, variance of velocity.
    """

    __slots__ = ("cov", "mean")

    def __init__(self) -> None:
        self.mean: F64 = np.empty((2, 0, 4))
        self.cov: F64 = np.empty((3, 0, 4))

    def add(self, xyxy: F32) -> None:
        """Append rows for boxes (N, 4) seen for the first time: at rest, of unknown velocity."""
        position = to_centre(xyxy)
        scale = _scale(position)
        mean = np.stack([position, np.zeros_like(position)])
        cov = np.stack([
            (2 * _POSITION_WEIGHT * scale) ** 2,
            np.zeros_like(scale),
            (10 * _VELOCITY_WEIGHT * scale) ** 2,
        ])  # fmt: skip
        self.mean = np.concatenate([self.mean, mean], axis=1)
        self.cov = np.concatenate([self.cov, cov], axis=1)

    def keep(self, rows: AnyArray) -> None:
        """Keep these rows (indices or mask), in this order."""
        self.mean = self.mean[:, rows]
        self.cov = self.cov[:, rows]

    def predict(self, step_s: float, lost: AnyArray) -> None:
        """Move all tracks on by `step_s`. Rows in the mask `lost` (T,) keep their size: a shrinking
        box at the moment of occlusion would shrink to nothing."""
        ticks = step_s * TICKS_PER_S
        position, velocity = self.mean
        var_p, cov_pv, var_v = self.cov
        velocity[lost, 2:] = 0
        scale2 = _scale(position) ** 2
        position += ticks * velocity
        np.maximum(position[:, 2:], _LEAST_SIZE_PX, out=position[:, 2:])
        var_p += ticks * (2 * cov_pv + ticks * var_v + _POSITION_WEIGHT**2 * scale2)
        cov_pv += ticks * var_v
        var_v += ticks * _VELOCITY_WEIGHT**2 * scale2

    def correct(self, rows: AnyArray, xyxy: F32) -> None:
        """Take in the boxes (K, 4) measured for `rows` (K,), each row at most once."""
        (position, velocity), (var_p, cov_pv, var_v) = self.mean[:, rows], self.cov[:, rows]
        total = var_p + (_POSITION_WEIGHT * _scale(position)) ** 2
        gain_p, gain_v = var_p / total, cov_pv / total
        surprise = to_centre(xyxy) - position
        self.mean[0, rows] = position + gain_p * surprise
        self.mean[1, rows] = velocity + gain_v * surprise
        self.cov[0, rows] = var_p * (1 - gain_p)
        self.cov[1, rows] = cov_pv * (1 - gain_p)
        self.cov[2, rows] = var_v - gain_v * cov_pv

    def warp(self, affine: F64) -> None:
        """Move all tracks with the camera: `affine` (2, 3), pixels before -> pixels now."""
        turn, grown = affine[:, :2], growth(affine)
        self.mean[:, :, :2] = self.mean[:, :, :2] @ turn.T
        self.mean[0, :, :2] += affine[:, 2]
        self.mean[:, :, 2:] *= grown
        self.cov *= grown**2
        # so that a camera that is told to zoom in for ever overflows nothing
        np.clip(self.mean, -FARTHEST_PX, FARTHEST_PX, out=self.mean)
        np.minimum(self.cov, FARTHEST_PX**2, out=self.cov)

    def boxes(self) -> F32:
        """(T, 4) expected boxes, xyxy float32."""
        centre, half = self.mean[0, :, :2], self.mean[0, :, 2:] * 0.5
        out = np.empty((len(centre), 4), np.float32)
        out[:, :2] = centre - half
        out[:, 2:] = centre + half
        return out


def growth(affine: F64) -> float:
    """By how much a (2, 3) affine map scales lengths: the root of its determinant."""
    (a, b), (c, d) = affine[:, :2].tolist()
    return math.sqrt(abs(a * d - b * c))


def warped(affine: F64, xyxy: F32) -> F32:
    """Boxes (N, 4) moved with the camera; upright as before, whatever the map turns."""
    centre = to_centre(xyxy)
    half = centre[:, 2:] * (growth(affine) / 2)
    at = centre[:, :2] @ affine[:, :2].T + affine[:, 2]
    moved: F64 = np.clip(np.concatenate([at - half, at + half], axis=1), -FARTHEST_PX, FARTHEST_PX)
    return moved.astype(np.float32)


def _scale(position: F64) -> F64:
    """(T, 4) width, height, width, height: the yardstick of each coordinate's noise."""
    size = np.maximum(position[:, 2:], _LEAST_SIZE_PX)
    return np.concatenate([size, size], axis=1)
