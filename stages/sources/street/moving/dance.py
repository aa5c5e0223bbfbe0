"""Dancers of one height who swap places, sway and crouch: motion that no filter foresees."""

import numpy as np

from pipeline.core.arrays import F64
from stages.sources.street.moving.troupe import (
    Troupe,
    person_classes,
    person_sizes,
)

SPRING_HZ, DAMPING = 0.55, 0.75
FASTEST_MPS = 2.8
STRONGEST_MPS2 = 7.0


def dance(
    rng: np.random.Generator, dancers: int, distance_m: float, moments: int, dt_s: float
) -> Troupe:
    """A stage about `distance_m` ahead. Every one to three seconds the dancers, or some of them,
    take other places of a formation, crossing on the way; each sways and crouches besides."""
    half = 0.55 * dancers**0.5 + 1.0
    spots = _formation(rng, dancers, half)
    place, velocity = spots.copy(), np.zeros((dancers, 2))
    wait_s = 0.5
    out = np.empty((moments, dancers, 2))
    for moment in range(moments):
        wait_s -= dt_s
        if wait_s <= 0:
            wait_s = float(rng.uniform(0.9, 3.0))
            spots = _change(rng, spots, half)
        omega = 2 * np.pi * SPRING_HZ
        pull = omega**2 * (spots - place) - 2 * DAMPING * omega * velocity
        hard = np.linalg.norm(pull, axis=1, keepdims=True)
        pull *= np.minimum(1, STRONGEST_MPS2 / np.maximum(hard, 1e-6))
        velocity += pull * dt_s
        fast = np.linalg.norm(velocity, axis=1, keepdims=True)
        velocity *= np.minimum(1, FASTEST_MPS / np.maximum(fast, 1e-6))
        place = place + velocity * dt_s
        out[moment] = place
    t_s: F64 = np.arange(moments, dtype=np.float64)[:, None] * dt_s
    out += _sway(rng, dancers, t_s)
    out[..., 1] += distance_m
    size = person_sizes(rng, dancers, spread_m=0.015)
    return Troupe(
        place=out,
        heading=-np.pi / 2 + _waves(rng, dancers, t_s, 0.9, (0.2, 0.6)),
        phase=_waves(rng, dancers, t_s, 1.7, (0.5, 1.6)),
        stretch=1 - np.maximum(_waves(rng, dancers, t_s, 0.3, (0.1, 0.5)) - 0.05, 0),
        present=np.ones((moments, dancers), np.bool_),
        class_id=person_classes(dancers),
        size=size,
    )


def _formation(rng: np.random.Generator, dancers: int, half: float) -> F64:
    """A row, a wedge, a ring, or no order: (N, 2)."""
    kind, along = int(rng.integers(4)), np.linspace(-1, 1, dancers)
    if kind == 0:
        spots = np.stack([along * half, rng.uniform(-0.4, 0.4) * half + 0 * along], axis=1)
    elif kind == 1:
        spots = np.stack([along * half, np.abs(along) * half - half / 2], axis=1)
    elif kind == 2:
        turn = np.pi * (along + 1) * (1 - 1 / dancers)
        spots = np.stack([np.cos(turn), np.sin(turn)], axis=1) * half * 0.8
    else:
        spots = rng.uniform(-half, half, (dancers, 2))
    jittered: F64 = spots + rng.normal(0, 0.15, spots.shape)
    return jittered


def _change(rng: np.random.Generator, spots: F64, half: float) -> F64:
    """A new formation, or some who change places."""
    if rng.random() < 0.45:
        return rng.permutation(_formation(rng, len(spots), half))
    some = rng.choice(len(spots), min(len(spots), int(rng.integers(2, 6))), replace=False)
    changed = spots.copy()
    changed[some] = np.roll(spots[some], 1, axis=0) + rng.normal(0, 0.2, (len(some), 2))
    return changed


def _sway(rng: np.random.Generator, dancers: int, t_s: F64) -> F64:
    across = _waves(rng, dancers, t_s, 0.16, (0.4, 1.1))
    along = _waves(rng, dancers, t_s, 0.1, (0.4, 0.9))
    return np.stack([across, along], axis=2)


def _waves(
    rng: np.random.Generator, count: int, t_s: F64, size: float, hz: tuple[float, float]
) -> F64:
    """(T, N) sum of two sines each, of amplitude about `size`."""
    total = np.zeros((len(t_s), count))
    for share in (0.7, 0.5):
        rate, start = rng.uniform(*hz, count), rng.uniform(0, 2 * np.pi, count)
        total += share * size * np.sin(2 * np.pi * rate * t_s + start)
    return total
