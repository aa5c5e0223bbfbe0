"""Motorcycles and scooters as solids; the rider is a person drawn in the riding pose."""

import numpy as np

from stages.sources.street.palette import Colour, pick, shade
from stages.sources.street.solid import Builder, Lamp, Solid
from stages.sources.street.vehicles import (
    CAR_PAINT,
    DARK,
    HEAD_LIGHT,
    RIM,
    TAIL_LIGHT,
    TYRE,
    disc,
)


def add_wheel(b: Builder, x: float, radius: float) -> None:
    ring = disc(x, 0.0, radius, radius)
    b.prism(1, [(float(p[0]), float(p[2]), 0.06) for p in ring], TYRE)
    for side in (-0.062, 0.062):
        b.face(disc(x, side, radius, radius * 0.68), shade(RIM, 0.75), solid=False)
        b.face(disc(x, side, radius, radius * 0.55), (74, 76, 80), solid=False)
        b.face(disc(x, side, radius, radius * 0.2), RIM, solid=False)


def motorcycle(rng: np.random.Generator) -> Solid:
    """Two wheels, about 2 m long; `size` includes room for a rider (1.65 m high)."""
    paint = pick(rng, CAR_PAINT)
    scooter = bool(rng.random() < 0.45)
    b = Builder()
    radius = 0.25 if scooter else 0.31
    front, rear = (0.62, -0.58) if scooter else (0.72, -0.68)
    add_wheel(b, rear, radius)
    add_wheel(b, front, radius)
    if scooter:
        add_scooter_body(b, paint)
    else:
        add_machine_body(b, paint)
    b.prism(2, [(front - 0.04, radius, 0.07), (front - 0.3, 1.0, 0.07), (front - 0.2, 1.0, 0.07),
                (front + 0.05, radius, 0.07)], RIM)  # fmt: skip
    b.prism(2, [(front - 0.25, radius * 1.95, 0.08), (front, radius * 2.2, 0.08),
                (front + 0.24, radius * 1.75, 0.08)], shade(paint, 0.95))  # fmt: skip
    b.box(3, (front - 0.36, -0.36, 0.99), (front - 0.28, 0.36, 1.04), DARK)
    for side in (-1, 1):
        low, high = sorted((side * 0.3, side * 0.4))
        b.box(3, (front - 0.3, low, 1.12), (front - 0.26, high, 1.22), DARK)
    b.box(3, (front - 0.28, -0.1, 0.84), (front - 0.1, 0.1, 1.02), shade(paint, 0.9))
    b.piece(4, (0.0, 0.0, 0.9))
    nose = front - 0.095
    b.face(
        [(nose, -0.08, 0.86), (nose, -0.08, 1.0), (nose, 0.08, 1.0), (nose, 0.08, 0.86)], HEAD_LIGHT
    )
    b.lamp(Lamp((nose, 0.0, 0.93), (1.0, 0.0, 0.0), HEAD_LIGHT, 0.11, beam=True))
    b.lamp(Lamp((rear - 0.26, 0.0, 0.72), (-1.0, 0.0, 0.0), TAIL_LIGHT, 0.07))
    return b.build((2.05, 0.75, 1.65))


def add_machine_body(b: Builder, paint: Colour) -> None:
    """Engine, tank, seat, tail and exhaust of a motorcycle."""
    b.prism(
        2, [(-0.3, 0.28, 0.14), (-0.34, 0.6, 0.12), (0.34, 0.66, 0.12), (0.3, 0.28, 0.14)], DARK
    )
    b.prism(
        2, [(-0.2, 0.36, 0.16), (-0.18, 0.52, 0.16), (0.2, 0.54, 0.16), (0.18, 0.36, 0.16)], RIM
    )
    b.prism(
        3, [(-0.1, 0.66, 0.13), (-0.02, 0.92, 0.14), (0.34, 0.95, 0.14), (0.44, 0.72, 0.1)], paint
    )
    b.prism(
        2, [(-0.78, 0.74, 0.1), (-0.8, 0.84, 0.1), (-0.06, 0.84, 0.14), (-0.06, 0.68, 0.12)], DARK
    )
    b.prism(
        2, [(-0.96, 0.72, 0.07), (-0.98, 0.86, 0.05), (-0.6, 0.78, 0.1), (-0.6, 0.64, 0.1)], paint
    )
    b.piece(4, (0.0, 0.0, 0.74))
    b.face([(-0.97, -0.06, 0.74), (-0.97, -0.06, 0.82), (-0.97, 0.06, 0.82), (-0.97, 0.06, 0.74)],
           (200, 30, 28))  # fmt: skip
    b.prism(2, [(-0.85, 0.3, 0.05), (-0.85, 0.42, 0.05), (-0.1, 0.34, 0.05), (-0.1, 0.26, 0.05)],
            RIM, y=-0.16)  # fmt: skip


def add_scooter_body(b: Builder, paint: Colour) -> None:
    """Leg shield, foot board, rounded tail and seat of a scooter."""
    b.prism(2, [(-0.3, 0.2, 0.16), (-0.3, 0.3, 0.18), (0.36, 0.3, 0.18), (0.34, 0.2, 0.14)], DARK)
    b.prism(2, [(0.3, 0.28, 0.2), (0.24, 0.62, 0.22), (0.34, 0.98, 0.12), (0.46, 0.9, 0.1),
                (0.5, 0.5, 0.12)], paint)  # fmt: skip
    b.prism(2, [(-0.86, 0.5, 0.12), (-0.9, 0.72, 0.1), (-0.22, 0.72, 0.17), (-0.18, 0.3, 0.17),
                (-0.5, 0.3, 0.17)], paint)  # fmt: skip
    b.prism(
        3, [(-0.84, 0.72, 0.12), (-0.84, 0.82, 0.12), (-0.2, 0.8, 0.15), (-0.18, 0.72, 0.15)], DARK
    )
    b.piece(4, (0.0, 0.0, 0.6))
    b.face([(-0.9, -0.08, 0.6), (-0.9, -0.08, 0.68), (-0.9, 0.08, 0.68), (-0.9, 0.08, 0.6)],
           (200, 30, 28))  # fmt: skip
