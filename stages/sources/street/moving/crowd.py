"""People who walk across a square: to goals of their own, around each other, stopping, turning."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F64, Bool
from stages.sources.street.moving.troupe import (
    Troupe,
    gait,
    person_classes,
    person_sizes,
)

RELAX_S = 0.45
REACH_M = 0.9
PUSH_MPS2 = 3.5
ARRIVED_M = 0.7


@dataclass(frozen=True, slots=True)
class Square:
    """Where they walk: x from -`half_m` to `half_m`, y from `near_m` to `far_m`. Per second, each
    person stops with `stops_hz` for some seconds, and turns to another goal with `turns_hz`."""

    half_m: float
    near_m: float
    far_m: float
    people: int
    stops_hz: float = 0.02
    turns_hz: float = 0.03
    pace_mps: float = 1.35


class _Walkers:
    """N slots; a person who leaves is replaced by another, with another id."""

    def __init__(self, rng: np.random.Generator, square: Square) -> None:
        self.rng, self.square = rng, square
        count = square.people
        self.place = self._inside(count)
        self.goal = self._border(count)
        self.velocity = np.zeros((count, 2))
        self.pace = self._paces(count)
        self.rest_s = np.zeros(count)
        self.person = np.arange(count)
        self.born = count

    def step(self, dt_s: float) -> None:
        rng, square = self.rng, self.square
        count = len(self.place)
        turning = rng.random(count) < square.turns_hz * dt_s
        self.goal[turning] = self._border(int(turning.sum()))
        stopping = rng.random(count) < square.stops_hz * dt_s
        self.rest_s[stopping] = rng.uniform(0.8, 6, int(stopping.sum()))
        self.rest_s -= dt_s
        way = self.goal - self.place
        left = np.linalg.norm(way, axis=1, keepdims=True)
        pace = np.where(self.rest_s > 0, 0.0, self.pace)[:, None]
        wish = way / np.maximum(left, 1e-6) * pace
        self.velocity += ((wish - self.velocity) / RELAX_S + self._push()) * dt_s
        self.place += self.velocity * dt_s
        gone = left[:, 0] < ARRIVED_M
        if gone.any():
            self._replace(gone)

    def _push(self) -> F64:
        """People make way: those who are near push each other apart, and to their own right."""
        apart = self.place[:, None] - self.place[None]
        distance = np.linalg.norm(apart, axis=2)
        np.fill_diagonal(distance, np.inf)
        force = PUSH_MPS2 * np.maximum(1 - distance / REACH_M, 0) / np.maximum(distance, 0.05)
        aside = np.stack([apart[..., 1], -apart[..., 0]], axis=2) * 0.3
        pushed: F64 = ((apart + aside) * force[..., None]).sum(axis=1)
        return pushed

    def _replace(self, gone: Bool) -> None:
        count = int(gone.sum())
        self.place[gone], self.goal[gone] = self._border(count), self._border(count)
        self.velocity[gone], self.pace[gone] = 0, self._paces(count)
        self.person[gone] = self.born + np.arange(count)
        self.born += count

    def _paces(self, count: int) -> F64:
        return np.clip(self.rng.normal(self.square.pace_mps, 0.28, count), 0.5, 2.4)

    def _inside(self, count: int) -> F64:
        s = self.square
        return self.rng.uniform((-s.half_m, s.near_m), (s.half_m, s.far_m), (count, 2))

    def _border(self, count: int) -> F64:
        """Places on the rim of the square."""
        s, rng = self.square, self.rng
        place = self._inside(count)
        edge = rng.integers(0, 4, count)
        place[edge == 0, 0], place[edge == 1, 0] = -s.half_m, s.half_m
        place[edge == 2, 1], place[edge == 3, 1] = s.near_m, s.far_m
        return place


def crowd(rng: np.random.Generator, square: Square, moments: int, dt_s: float) -> Troupe:
    """Walkers on a square at `moments` times, `dt_s` apart."""
    walkers = _Walkers(rng, square)
    for _ in range(round(8 / dt_s)):
        walkers.step(dt_s)
    slots = square.people
    place, person = np.empty((moments, slots, 2)), np.empty((moments, slots), int)
    velocity = np.empty((moments, slots, 2))
    for moment in range(moments):
        place[moment], person[moment] = walkers.place, walkers.person
        velocity[moment] = walkers.velocity
        walkers.step(dt_s)
    return _spread(rng, place, velocity, person)


def _spread(rng: np.random.Generator, place: F64, velocity: F64, person: F64) -> Troupe:
    """From slots to persons: a column for everyone who was ever there."""
    _, column = np.unique(person, return_inverse=True)
    column = column.reshape(person.shape)
    moments, count = len(place), int(column.max()) + 1
    rows = np.arange(moments)[:, None]
    spread = np.zeros((moments, count, 2))
    heading, present = np.zeros((moments, count)), np.zeros((moments, count), np.bool_)
    spread[rows, column], present[rows, column] = place, True
    heading[rows, column] = np.arctan2(velocity[..., 1], velocity[..., 0])
    size = person_sizes(rng, count)
    return Troupe(
        place=spread,
        heading=heading,
        phase=gait(spread, size[:, 2]),
        stretch=np.ones((moments, count)),
        present=present,
        class_id=person_classes(count),
        size=size,
    )
