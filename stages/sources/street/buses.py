"""Buses and coaches as solids."""

import numpy as np

from stages.sources.street.palette import Colour, shade
from stages.sources.street.solid import Builder, Lamp, Solid
from stages.sources.street.vehicles import DARK, GLASS, add_lights, add_wheels

SIGN: Colour = (255, 170, 40)
BUS_PAINT: list[tuple[Colour, Colour]] = [
    ((196, 32, 40), (240, 236, 228)), ((34, 96, 168), (236, 238, 240)), ((236, 238, 238),
    (40, 120, 84)),
    ((240, 176, 32), (60, 60, 66)), ((58, 140, 96), (238, 236, 220)), ((90, 52, 130),
    (230, 226, 236)),
    ((232, 234, 236), (210, 60, 40)), ((40, 150, 170), (236, 240, 240)), ((228, 120, 36),
    (240, 240, 238)),
]  # fmt: skip


def bus(rng: np.random.Generator) -> Solid:
    """A city bus or coach, sometimes with two decks, 8 to 12 m long."""
    main, second = BUS_PAINT[int(rng.integers(len(BUS_PAINT)))]
    length = float(rng.choice([8.2, 10.5, 12.0]))
    decks = 2 if rng.random() < 0.16 else 1
    height, half = (4.2 if decks == 2 else float(rng.uniform(2.9, 3.2))), 1.25
    b, tail, nose = Builder(), -length / 2, length / 2
    lean = float(rng.uniform(0.05, 0.3))
    body = [
        (tail, 0.32, half), (tail, height - 0.15, half), (tail + 0.12, height, half - 0.1),
        (nose - lean - 0.2, height, half - 0.1), (nose - lean, height - 0.15, half),
        (nose, 1.3, half), (nose, 0.32, half),
    ]  # fmt: skip
    b.prism(1, body, main)
    for side in (-1, 1):
        add_bus_side(b, side * (half + 0.005), length, height, decks, second, door=side < 0)
    add_bus_ends(b, length, half, height, lean)
    if decks == 1:
        b.box(
            2,
            (-length * 0.3, -0.7, height),
            (-length * 0.05, 0.7, height + 0.24),
            shade(second, 0.85),
        )
    add_wheels(b, [tail + 2.4, nose - 2.2], half - 0.01, 0.47, 3)
    add_lights(b, length, half, 0.6, tall=0.2)
    return b.build((length, 2 * half, height))


def add_bus_side(
    b: Builder, y: float, length: float, height: float, decks: int, stripe: Colour, *, door: bool
) -> None:
    """A row of windows on each deck, a stripe, and doors on the kerb side."""
    tail, nose = -length / 2, length / 2

    def plate(x0: float, x1: float, z0: float, z1: float, colour: Colour) -> None:
        b.face([(x0, y, z0), (x0, y, z1), (x1, y, z1), (x1, y, z0)], colour, solid=False)

    plate(tail + 0.02, nose - 0.02, 0.6, 1.05, stripe)
    panes = round(length / 1.4)
    for deck in range(decks):
        z0 = 1.4 + 1.6 * deck
        z1 = z0 + (0.95 if decks == 2 else height - 1.9)
        plate(tail + 0.25, nose - 0.3, z0 - 0.05, z1 + 0.05, DARK)
        for pane in range(panes):
            x0 = tail + 0.3 + (length - 0.7) * pane / panes
            x1 = tail + 0.3 + (length - 0.7) * (pane + 0.93) / panes
            plate(x0, x1, z0, z1, shade(GLASS, 1.0 + 0.14 * (pane % 3)))
    if door:
        for x in (nose - 1.5, -0.6):
            plate(x, x + 1.2, 0.4, 2.4, DARK)
            plate(x + 0.06, x + 0.57, 0.55, 2.3, shade(GLASS, 1.3))
            plate(x + 0.63, x + 1.14, 0.55, 2.3, shade(GLASS, 1.15))


def add_bus_ends(b: Builder, length: float, half: float, height: float, lean: float) -> None:
    """Wind screen with a lit destination sign ahead; window and grille behind."""
    nose, tail = length / 2 + 0.01, -length / 2 - 0.01
    slope = lean / max(height - 1.45, 0.1)

    def pane(
        x: float, wide: float, z0: float, z1: float, colour: Colour, tilt: float = 0.0
    ) -> None:
        top, low = x - tilt * max(z1 - 1.3, 0), x - tilt * max(z0 - 1.3, 0)
        corners = [(low, -wide, z0), (top, -wide, z1), (top, wide, z1), (low, wide, z0)]
        b.face([(px, py, pz) for px, py, pz in corners], colour, solid=False)

    pane(nose, half - 0.1, 1.25, height - 0.5, GLASS, slope)
    pane(nose, half - 0.75, 1.3, height - 0.55, shade(GLASS, 1.25), slope)
    pane(nose, half - 0.2, height - 0.46, height - 0.2, DARK, slope)
    pane(nose, half - 0.55, height - 0.42, height - 0.24, SIGN, slope)
    pane(nose, half - 0.4, 0.4, 0.56, DARK)
    pane(tail, half - 0.25, height - 1.3, height - 0.4, GLASS)
    pane(tail, half - 0.3, 0.95, 1.4, shade(DARK, 1.3))
    b.lamp(Lamp((nose, 0.0, height - 0.33), (1.0, 0.0, 0.0), SIGN, 0.12))
