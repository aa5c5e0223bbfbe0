"""Constant-velocity Kalman filters on a plane, all tracks at once.

State: position and velocity in metres. Between two sightings the velocity wanders by a white
acceleration (Bar-Shalom, Li, Kirubarajan: Estimation with Applications to Tracking and Navigation,
2001, section 6.2.2).

Matrices are (2, 2, N), vectors (2, N): numbers of one kind lie side by side, so that a step costs
as many calls for a hundred tracks as for one.
"""

from typing import Final

import numpy as np

from pipeline.core.arrays import F64, I64

_FIRST_SPEED_SD_M_S: Final = 20.0
_OUTLIER: Final = 9.0
"""Squared Mahalanobis distance, 2 degrees of freedom, which 1.1 % exceed. What is farther off
counts less: its covariance grows until it is just there."""
_PLACE, _VELOCITY = 0, 1
_PP, _PV, _VV = slice(2, 4), slice(4, 6), slice(6, 8)
_EYE: Final = np.eye(2)[:, :, None]


class PlaneFilters:
    """Filters in numbered slots, with the times of the first and the last sighting, and their
    number: 0 where the slot is free."""

    def __init__(self, slots: int = 64) -> None:
        self._state = np.zeros((8, 2, slots))
        """Place, velocity, and the rows of their covariances."""
        self.first_s, self.last_s = np.zeros(slots), np.zeros(slots)
        self.sightings = np.zeros(slots, np.int64)

    def __len__(self) -> int:
        return len(self.first_s)

    def grow(self) -> None:
        """Double the slots; the old ones stay."""
        for name, old in vars(self).items():
            setattr(self, name, np.concatenate([old, np.zeros_like(old)], axis=-1))

    def begin(self, slots: I64, places: F64, noise: F64, time_s: float) -> None:
        """Begin filters with their first sightings: (2, K) places with covariances (2, 2, K).
        Velocities are unknown."""
        fresh = np.zeros((8, 2, len(slots)))
        fresh[_PLACE], fresh[_PP] = places, noise
        fresh[_VV] = _FIRST_SPEED_SD_M_S**2 * _EYE
        self._state[:, :, slots] = fresh
        self.first_s[slots] = self.last_s[slots] = time_s
        self.sightings[slots] = 1

    def see(
        self, slots: I64, places: F64, noise: F64, time_s: float, slow: float, by_speed: float
    ) -> None:
        """Update filters with the next sightings. After a second without one, each component of a
        velocity has changed by `slow` m/s and `by_speed` of the speed, standard deviation."""
        step = time_s - self.last_s[slots]
        state = self._state.take(slots, axis=2)
        place, velocity, pp, pv, vv = (
            state[_PLACE], state[_VELOCITY], state[_PP], state[_PV], state[_VV]
        )  # fmt: skip
        wander = (slow + by_speed * np.hypot(velocity[0], velocity[1])) ** 2
        place += step * velocity
        pp += step * (pv + _turned(pv) + step * vv) + wander / 3 * step**3 * _EYE
        pv += step * vv + wander / 2 * step**2 * _EYE
        vv += wander * step * _EYE
        missed = places - place
        inverse = _weight(pp + noise, missed)
        for_place, for_velocity = _product(pp, inverse), _product(_turned(pv), inverse)
        place += _times(for_place, missed)
        velocity += _times(for_velocity, missed)
        vv -= _product(for_velocity, pv)
        pv -= _product(for_place, pv)
        pp -= _product(for_place, pp)
        self._state[:, :, slots] = state
        self.last_s[slots] = time_s
        self.sightings[slots] += 1

    def places(self, slots: I64) -> tuple[F64, F64]:
        """The places (2, K) in metres, and their covariances (2, 2, K)."""
        return self._state[_PLACE].take(slots, axis=1), self._state[_PP].take(slots, axis=2)

    def velocities(self, slots: I64) -> tuple[F64, F64]:
        """The velocities (2, K) in m/s, and their covariances (2, 2, K)."""
        return self._state[_VELOCITY].take(slots, axis=1), self._state[_VV].take(slots, axis=2)


def largest_variance(cov: F64) -> F64:
    """The larger eigenvalue (N,) of symmetric matrices (2, 2, N)."""
    a, b, d = cov[0, 0], cov[0, 1], cov[1, 1]
    found: F64 = (a + d) / 2 + np.hypot((a - d) / 2, b)
    return found


def variance_along(cov: F64, way: F64) -> F64:
    """The variance (N,) of covariances (2, 2, N) along directions (2, N), of any length; the larger
    eigenvalue where the length is 0."""
    length_2 = way[0] ** 2 + way[1] ** 2
    along = _form(cov, way) / np.where(length_2 > 0, length_2, 1)
    found: F64 = np.where(length_2 > 0, along, largest_variance(cov))
    return found


def _weight(cov: F64, missed: F64) -> F64:
    """The inverse of the covariance of what was `missed`, which is made larger for outliers."""
    a, b, d = cov[0, 0], cov[0, 1], cov[1, 1]
    inverse = np.empty_like(cov)
    inverse[0, 0], inverse[1, 1] = d, a
    inverse[0, 1] = inverse[1, 0] = -b
    inverse /= a * d - b * b
    inverse /= np.maximum(_form(inverse, missed) / _OUTLIER, 1)
    return inverse


def _form(a: F64, x: F64) -> F64:
    """x' a x for symmetric a."""
    found: F64 = x[0] * (x[0] * a[0, 0] + 2 * x[1] * a[0, 1]) + x[1] * x[1] * a[1, 1]
    return found


def _product(a: F64, b: F64) -> F64:
    found: F64 = a[:, :1] * b[:1] + a[:, 1:] * b[1:]
    return found


def _times(a: F64, x: F64) -> F64:
    found: F64 = a[:, 0] * x[0] + a[:, 1] * x[1]
    return found


def _turned(a: F64) -> F64:
    return a.transpose(1, 0, 2)
