"""The motion of tracks, which tells where they are expected: a Kalman filter with constant
velocity, over all tracks at once.

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
    """Convert (N, 4) left, top, right, bottom -> (N, 4) float64 centre x, centre y, width,
    height."""
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

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state: F64 = np.empty((5, 0, 4))

    @property
    def mean(self) -> F64:
        return self._state[:2]

    @property
    def cov(self) -> F64:
        return self._state[2:]

    def add(self, xyxy: F32) -> None:
        """Append rows for boxes (N, 4) seen for the first time: at rest, of unknown velocity."""
        position = to_centre(xyxy)
        scale = _scale(position)
        born = np.zeros((5, *position.shape))
        born[0] = position
        born[2] = (2 * _POSITION_WEIGHT * scale) ** 2
        born[4] = (10 * _VELOCITY_WEIGHT * scale) ** 2
        self._state = np.concatenate([self._state, born], axis=1)

    def keep(self, rows: AnyArray) -> None:
        """Keep these rows (indices or mask), in this order."""
        self._state = self._state[:, rows]

    def predict(self, step_s: float, lost: AnyArray) -> None:
        """Move all tracks on by `step_s`. Rows in the mask `lost` (T,) keep their size: a shrinking
        box at the moment of occlusion would shrink to nothing."""
        ticks = step_s * TICKS_PER_S
        position, velocity, var_p, cov_pv, var_v = self._state
        if np.count_nonzero(lost):
            np.copyto(velocity[:, 2:], 0, where=lost[:, None])
        scale2 = _scale(position) ** 2
        position += ticks * velocity
        np.maximum(position[:, 2:], _LEAST_SIZE_PX, out=position[:, 2:])
        spread = ticks * var_v
        var_p += ticks * (2 * cov_pv + spread + _POSITION_WEIGHT**2 * scale2)
        cov_pv += spread
        var_v += ticks * _VELOCITY_WEIGHT**2 * scale2

    def correct(self, rows: AnyArray | slice, xyxy: F32) -> None:
        """Take in the boxes (K, 4) measured for `rows` (K,), each row at most once."""
        position, _, var_p, cov_pv, var_v = state = self._state[:, rows]
        gain = state[2:4] / (var_p + (_POSITION_WEIGHT * _scale(position)) ** 2)
        state[:2] += gain * (to_centre(xyxy) - position)
        var_v -= gain[1] * cov_pv
        state[2:4] *= 1 - gain[0]
        if not isinstance(rows, slice):  # of a slice it is a view
            self._state[:, rows] = state

    def warp(self, affine: F64) -> None:
        """Move all tracks with the camera: `affine` (2, 3), pixels before -> pixels now."""
        mean, cov, grown = self.mean, self.cov, growth(affine)
        mean[:, :, :2] = mean[:, :, :2] @ affine[:, :2].T
        mean[0, :, :2] += affine[:, 2]
        mean[:, :, 2:] *= grown
        cov *= grown**2
        # so that a camera that is told to zoom in for ever overflows nothing
        np.clip(mean, -FARTHEST_PX, FARTHEST_PX, out=mean)
        np.minimum(cov, FARTHEST_PX**2, out=cov)

    def boxes(self) -> F32:
        """The expected boxes (T, 4), xyxy float32 in pixels."""
        centre, half = self.mean[0, :, :2], self.mean[0, :, 2:] * 0.5
        out = np.empty((len(centre), 4), np.float32)
        out[:, :2] = centre - half
        out[:, 2:] = centre + half
        return out


def growth(affine: F64) -> float:
    """The factor by which a (2, 3) affine map scales lengths: the root of its determinant."""
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
