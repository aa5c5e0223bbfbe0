"""Lorries as solids: a cab, and one of several loads behind it."""

import numpy as np

from stages.sources.street.camera import F64
from stages.sources.street.palette import Colour, pick, shade
from stages.sources.street.solid import Builder, Solid
from stages.sources.street.vehicles import DARK, GLASS, RIM, add_lights, add_wheels

CAB_PAINT: list[Colour] = [
    (238, 238, 236), (178, 36, 36), (38, 72, 140), (226, 176, 40), (52, 110, 80), (60, 62, 68),
    (224, 104, 40), (120, 150, 176), (240, 240, 240),
]  # fmt: skip
LOAD_PAINT: list[Colour] = [
    (240, 240, 238), (226, 228, 230), (196, 200, 204), (52, 84, 140), (156, 52, 44), (70, 110, 84),
    (214, 184, 92), (120, 90, 66), (96, 100, 108), (230, 140, 60),
]  # fmt: skip


def truck(rng: np.random.Generator) -> Solid:
    """A lorry with box, curtains, tank, flat bed or tipper; or a long one with a trailer."""
    kind = str(rng.choice(["box", "box", "tank", "flat", "tipper", "trailer"]))
    length = {"box": 7.2, "tank": 8.6, "flat": 7.6, "tipper": 7.0, "trailer": 13.5}[kind]
    length *= float(rng.uniform(0.85, 1.1))
    b, tail, nose, half = Builder(), -length / 2, length / 2, 1.22
    paint = pick(rng, CAB_PAINT)
    cab = float(rng.uniform(1.75, 2.2))
    add_cab(b, nose, cab, float(rng.uniform(2.5, 3.0)), half, paint)
    b.box(0, (tail + 0.1, -0.75, 0.55), (nose - 0.3, 0.75, 0.95), DARK)
    top = add_load(b, rng, kind, (tail, nose - cab - 0.3), half)
    axles = [nose - 1.1, tail + 1.2]
    if length > 7.4:
        axles.append(tail + 2.35)
    if kind == "trailer":
        axles += [tail + 3.5, nose - 4.2]
    add_wheels(b, axles, half - 0.02, 0.5, 3)
    add_lights(b, length, half, 0.68, tall=0.18)
    for x, deep in ((nose + 0.01, 0.66), (tail, 0.75)):
        b.piece(2, (0.0, 0.0, 0.6))
        b.face([(x, -1.1, 0.42), (x, -1.1, deep), (x, 1.1, deep), (x, 1.1, 0.42)], DARK)
    return b.build((length, 2 * half, max(top, 2.9)))


def add_cab(b: Builder, nose: float, cab: float, height: float, half: float, paint: Colour) -> None:
    back = nose - cab
    profile = [
        (back, 0.55, half), (back, height, half - 0.12), (nose - 0.3, height, half - 0.12),
        (nose, 1.55, half), (nose, 0.45, half), (back + 0.4, 0.45, half),
    ]  # fmt: skip
    b.prism(2, profile, paint)
    tip = nose + 0.005
    lean = 0.3 / max(height - 1.55, 0.1)

    def screen(z0: float, z1: float, wide: float, colour: Colour) -> None:
        low, high = tip - lean * max(z0 - 1.55, 0), tip - lean * max(z1 - 1.55, 0)
        corners = [(low, -wide, z0), (high, -wide, z1), (high, wide, z1), (low, wide, z0)]
        b.face([(px, py, pz) for px, py, pz in corners], colour, solid=False)

    screen(1.6, height - 0.3, half - 0.12, GLASS)
    screen(1.65, height - 0.35, half - 0.7, shade(GLASS, 1.3))
    screen(0.9, 1.35, half - 0.35, DARK)
    screen(1.0, 1.06, half - 0.35, RIM)
    screen(1.18, 1.24, half - 0.35, RIM)
    for side in (-1, 1):
        y = side * (half - 0.02)
        window = [(nose - 1.25, y, 1.6), (nose - 1.25, y * 0.97, height - 0.4)]
        window += [(nose - 0.42, y * 0.97, height - 0.4), (nose - 0.22, y, 1.6)]
        b.face([(px, py, pz) for px, py, pz in window], GLASS, solid=False)
        low, high = sorted((side * half, side * (half + 0.2)))
        b.box(3, (nose - 0.35, low, 1.7), (nose - 0.22, high, 2.2), DARK)


def add_load(
    b: Builder, rng: np.random.Generator, kind: str, span: tuple[float, float], half: float
) -> float:
    """What the lorry carries, on the chassis between the two x of `span`; returns its top."""
    x0, x1 = span
    colour = pick(rng, LOAD_PAINT)
    if kind == "tank":
        turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        ring = [(float(1.12 * np.cos(t)), float(2.05 + 1.0 * np.sin(t))) for t in turn]
        b.piece(2, ((x0 + x1) / 2, 0.0, 2.05))
        for (ya, za), (yb, zb) in zip(ring, ring[1:] + ring[:1], strict=True):
            b.face([(x0, ya, za), (x0, yb, zb), (x1, yb, zb), (x1, ya, za)], colour)
        for x in (x0, x1):
            b.face([(x, y, z) for y, z in ring], shade(colour, 0.85))
        return 3.05
    if kind == "flat":
        b.box(2, (x0, -half, 0.95), (x1, half, 1.15), shade(colour, 0.7))
        cargo = pick(rng, LOAD_PAINT)
        at = x0 + 0.3
        while at < x1 - 1.0:
            deep = float(rng.uniform(0.9, 1.9))
            high = 1.15 + float(rng.uniform(0.5, 1.3))
            b.box(
                4,
                (at, -half + 0.15, 1.15),
                (min(at + deep, x1), half - 0.15, high),
                shade(cargo, 0.9),
            )
            at += deep + 0.15
        return 2.2
    high = 1.95 if kind == "tipper" else float(rng.uniform(3.0, 3.7))
    faces = b.box(2, (x0, -half, 0.95), (x1, half, high), colour)
    add_box_trim(b, rng, faces, colour, ribs=kind == "tipper")
    if kind == "tipper":
        b.box(
            4,
            (x0 + 0.3, -half + 0.2, high),
            (x1 - 0.3, half - 0.2, high + 0.35),
            (128, 104, 78),
            0.5,
        )
    return high


def add_box_trim(
    b: Builder, rng: np.random.Generator, faces: list[F64], colour: Colour, *, ribs: bool
) -> None:
    """Doors behind; a band, a sign or ribs on the sides of a load box."""
    rear, _, _, _, left, right = faces
    b.panel(rear, (0.04, 0.485), (0.04, 0.96), shade(colour, 0.88))
    b.panel(rear, (0.515, 0.96), (0.04, 0.96), shade(colour, 0.92))
    for u in (0.42, 0.58):
        b.panel(rear, (u, u + 0.02), (0.08, 0.92), RIM)
    art = pick(rng, LOAD_PAINT)
    style = "ribs" if ribs else str(rng.choice(["sign", "band", "plain", "ribs"]))
    for side in (left, right):
        b.panel(side, (0.0, 1.0), (0.0, 0.05), shade(colour, 0.6))
        if style == "ribs":
            for u in np.linspace(0.05, 0.95, 9):
                b.panel(side, (float(u), float(u) + 0.015), (0.04, 0.97), shade(colour, 0.75))
        elif style == "sign":
            b.panel(side, (0.2, 0.75), (0.35, 0.7), art)
            b.panel(side, (0.26, 0.69), (0.47, 0.58), shade(colour, 1.05))
        elif style == "band":
            b.panel(side, (0.0, 1.0), (0.2, 0.36), art)
