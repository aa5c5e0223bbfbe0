"""A road along y with traffic both ways, parked cars, and people on its pavements."""

import numpy as np

from pipeline.core.arrays import F64, I32
from stages.sources.street.layout import BUS, CAR, MOTORCYCLE, TRUCK
from stages.sources.street.moving.troupe import (
    Troupe,
    gait,
    person_classes,
    person_sizes,
    still,
)

LANES = ((-5.2, -1), (-1.8, -1), (1.8, 1), (5.2, 1))
PAVEMENT_M = 9.6
SIZES = {
    CAR: (4.3, 1.8, 1.5), MOTORCYCLE: (2.1, 0.8, 1.65), BUS: (11.0, 2.5, 3.1),
    TRUCK: (7.5, 2.4, 3.0),
}  # fmt: skip


def drive(rng: np.random.Generator, length_m: float, moments: int, dt_s: float) -> Troupe:
    """Road of `length_m` from y = 0 on; also some that drive before it and beyond."""
    return (
        _traffic(rng, length_m, moments, dt_s)
        + _parked(rng, length_m, moments)
        + _pedestrians(rng, length_m, moments, dt_s)
    )


def _traffic(rng: np.random.Generator, length_m: float, moments: int, dt_s: float) -> Troupe:
    t_s = np.arange(moments)[:, None] * dt_s
    x, y, headings = [], [], []
    for lane, way in LANES:
        pace = float(rng.uniform(8, 12)) * way
        reach = abs(pace) * moments * dt_s
        low, high = (-reach, length_m) if way > 0 else (0.0, length_m + reach)
        start = low + np.cumsum(rng.uniform(9, 42, 400))
        start = start[start < high]
        # One wave of speed for the whole lane: cars brake and start together, and never overlap.
        wave = 1 + 0.6 * np.sin(2 * np.pi * t_s / rng.uniform(9, 16) + rng.uniform(0, 6))
        driven = np.cumsum(np.maximum(wave, 0) * pace * dt_s, axis=0)
        drift = 0.25 * np.sin(t_s * rng.uniform(0.2, 0.6, len(start)) + rng.uniform(0, 6))
        x.append(lane + drift)
        y.append(start[None, :] + driven)
        headings.append(np.full(len(start), np.pi / 2 * way))
    place = np.stack([np.concatenate(x, axis=1), np.concatenate(y, axis=1)], axis=2)
    count = place.shape[1]
    kinds = rng.choice([CAR, MOTORCYCLE, BUS, TRUCK], count, p=[0.78, 0.08, 0.06, 0.08])
    return Troupe(
        place=place,
        heading=np.broadcast_to(np.concatenate(headings), (moments, count)),
        phase=np.zeros((moments, count)),
        stretch=np.ones((moments, count)),
        present=np.ones((moments, count), np.bool_),
        class_id=kinds.astype(np.int32),
        size=_sizes(rng, kinds.astype(np.int32)),
    )


def _sizes(rng: np.random.Generator, kinds: I32) -> F64:
    size = np.array([SIZES[kind] for kind in kinds.tolist()]).reshape(-1, 3)
    scaled: F64 = size * rng.uniform(0.92, 1.1, size.shape)
    return scaled


def _parked(rng: np.random.Generator, length_m: float, moments: int) -> Troupe:
    y = np.concatenate([np.cumsum(rng.uniform(5.6, 19, 400)) for _ in range(2)])
    side = np.repeat([-7.7, 7.7], 400)
    near = (y < length_m) & ((y + side * 5) % 75 < 28)  # rows of parked cars, and gaps
    place = np.stack([side, y], axis=1)[near]
    kinds = np.full(len(place), CAR, np.int32)
    return still(place, CAR, _sizes(rng, kinds), np.full(len(place), np.pi / 2), moments)


def _pedestrians(rng: np.random.Generator, length_m: float, moments: int, dt_s: float) -> Troupe:
    """Along both pavements, in groups; one in six crosses the road at some time."""
    count = round(length_m / 5)
    t_s = np.arange(moments)[:, None] * dt_s
    pace = rng.choice([-1, 1], count) * rng.uniform(0.7, 1.7, count) * (rng.random(count) > 0.12)
    y = rng.uniform(0, length_m, count) + pace * t_s
    side = rng.choice([-1.0, 1.0], count)
    x = np.broadcast_to(side * (PAVEMENT_M + rng.uniform(-0.7, 1.8, count)), y.shape).copy()
    crossing = rng.random(count) < 1 / 6
    since_s = np.maximum(t_s - rng.uniform(0, moments * dt_s, count), 0)
    walked = np.minimum(since_s * rng.uniform(1.1, 2.2, count), 2 * PAVEMENT_M)
    x = np.where(crossing, x - side * walked, x)
    place = np.stack([x, y], axis=2)
    velocity = np.gradient(place, dt_s, axis=0)
    size = person_sizes(rng, count)
    return Troupe(
        place=place,
        heading=np.arctan2(velocity[..., 1], velocity[..., 0]),
        phase=gait(place, size[:, 2]),
        stretch=np.ones((moments, count)),
        present=np.ones((moments, count), np.bool_),
        class_id=person_classes(count),
        size=size,
    )
