"""Cars and vans as solids, drawn from a generator, no two quite alike; parts of all vehicles."""

import numpy as np

from stages.sources.street.camera import F64
from stages.sources.street.palette import Colour, pick, shade
from stages.sources.street.solid import Builder, Lamp, Point, Solid

TYRE: Colour = (30, 30, 32)
RIM: Colour = (150, 152, 156)
GLASS: Colour = (52, 66, 80)
DARK: Colour = (38, 38, 42)
HEAD_LIGHT: Colour = (255, 244, 214)
TAIL_LIGHT: Colour = (255, 40, 24)

CAR_PAINT: list[Colour] = [
    (236, 237, 238), (205, 208, 212), (150, 154, 160), (92, 96, 102), (36, 38, 42), (24, 26, 34),
    (172, 34, 36), (34, 66, 130), (52, 96, 168), (118, 24, 36), (46, 92, 70), (214, 186, 60),
    (198, 182, 152), (224, 108, 40), (84, 138, 160), (240, 200, 40),
]  # fmt: skip
CAR_SHARE = np.array([6, 5, 5, 4, 5, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1], dtype=np.float64)


def disc(x: float, y: float, z: float, radius: float, corners: int = 14) -> F64:
    """A polygon standing along the driving direction."""
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.column_stack(
        [x + radius * np.cos(turn), np.full(corners, y), z + radius * np.sin(turn)]
    )


def add_wheels(b: Builder, axles: list[float], half: float, radius: float, layer: int) -> None:
    """Tyres under the body, seen from ahead and behind, and discs with rims on both sides."""
    for x in axles:
        for side in (-1, 1):
            outer = side * (half + 0.01)
            low, high = sorted((outer - side * 0.24, outer))
            b.box(0, (x - radius * 0.8, low, 0.0), (x + radius * 0.8, high, radius), TYRE)
            arch = disc(x, outer, radius, radius * 1.16)
            arch[:, 2] = np.maximum(arch[:, 2], radius * 0.7)
            b.piece(layer, (x, 0.0, radius))
            b.face(arch, shade(DARK, 0.6), solid=False)
            b.face(disc(x, outer, radius, radius), TYRE)
            b.face(disc(x, outer, radius, radius * 0.62), RIM, solid=False)
            b.face(disc(x, outer, radius, radius * 0.22), shade(RIM, 0.6), solid=False)


def add_lights(b: Builder, length: float, half: float, z: float, *, tall: float = 0.13) -> None:
    """Head and tail lights as patches on the ends, and as lamps for the night."""
    front, rear = length / 2 + 0.01, -length / 2 - 0.01
    for side in (-1, 1):
        low, high = sorted((side * (half - 0.42), side * (half - 0.06)))
        for x, colour, sense in ((front, HEAD_LIGHT, 1.0), (rear, (190.0, 24.0, 24.0), -1.0)):
            b.piece(2, (0.0, 0.0, z))
            patch = [(x, low, z), (x, low, z + tall), (x, high, z + tall), (x, high, z)]
            b.face([(px, py, pz) for px, py, pz in patch], colour, solid=False)
            shine = HEAD_LIGHT if sense > 0 else TAIL_LIGHT
            at: Point = (x, (low + high) / 2, z + tall / 2)
            b.lamp(Lamp(at, (sense, 0.0, 0.0), shine, 0.11 if sense > 0 else 0.08, sense > 0))
    for x, colour in ((front, (225.0, 225.0, 220.0)), (rear, (228.0, 220.0, 170.0))):
        b.piece(2, (0.0, 0.0, z))
        plate = [
            (x, -0.26, z - 0.24),
            (x, -0.26, z - 0.12),
            (x, 0.26, z - 0.12),
            (x, 0.26, z - 0.24),
        ]
        b.face([(px, py, pz) for px, py, pz in plate], colour, solid=False)


def car(rng: np.random.Generator) -> Solid:
    """A saloon, hatchback, estate, off-roader or van, 3.6 to 5.2 m long."""
    style = str(
        rng.choice(["saloon", "hatch", "estate", "suv", "van"], p=[0.3, 0.27, 0.13, 0.2, 0.1])
    )
    paint = pick(rng, CAR_PAINT, CAR_SHARE)
    length = {"saloon": 4.6, "hatch": 3.95, "estate": 4.7, "suv": 4.6, "van": 5.1}[style]
    length *= float(rng.uniform(0.95, 1.05))
    height = {"saloon": 1.44, "hatch": 1.48, "estate": 1.48, "suv": 1.72, "van": 2.05}[style]
    half = (0.98 if style == "van" else 0.9) * float(rng.uniform(0.97, 1.03))
    b, tail, nose = Builder(), -length / 2, length / 2
    belt = 0.92 if height < 1.6 else 1.05
    hood = belt - 0.12
    sill = 0.26 if height < 1.6 else 0.34
    body = [
        (tail + 0.08, sill, half - 0.04), (tail, 0.55, half - 0.02),
        (tail + 0.05, belt, half - 0.06),
        (nose - 1.15, belt, half - 0.06), (nose - 0.12, hood - 0.06, half - 0.14),
        (nose, 0.52, half - 0.08), (nose - 0.1, sill, half - 0.06),
    ]  # fmt: skip
    faces = b.prism(1, body, paint)
    for side in faces[-2:]:
        add_flank(b, side, sill, belt, paint)
    add_bumpers(b, length, half, sill)
    rear = {"saloon": 0.75, "hatch": 0.1, "estate": 0.08, "suv": 0.1, "van": 0.05}[style]
    slope = {"saloon": 0.62, "hatch": 0.42, "estate": 0.3, "suv": 0.26, "van": 0.08}[style]
    front = {"saloon": 1.25, "hatch": 1.0, "estate": 1.25, "suv": 1.15, "van": 0.7}[style]
    rake = 0.45 if style == "van" else 0.8
    cabin = [
        (tail + rear, belt - 0.02, half - 0.06), (tail + rear + slope, height, half - 0.24),
        (nose - front - rake, height, half - 0.24), (nose - front, belt - 0.02, half - 0.06),
    ]  # fmt: skip
    add_cabin(b, b.prism(2, cabin, paint), paint, van=style == "van")
    add_mirrors(b, nose - front - 0.25, half, belt, paint)
    radius = 0.32 if height < 1.6 else 0.37
    add_wheels(b, [tail + 0.82, nose - 0.86], half - 0.05, radius, 3)
    add_lights(b, length, half - 0.08, 0.6 if height < 1.6 else 0.72)
    if rng.random() < 0.06:
        b.box(4, (-0.5, -0.3, height), (-0.25, 0.3, height + 0.16), (245, 222, 120))
    return b.build((length, 2 * half, height))


def add_flank(b: Builder, side: F64, sill: float, belt: float, paint: Colour) -> None:
    """A darker lower edge and a light line along the shoulder; door gaps."""
    y = float(side[:, 1].mean())
    low, high = float(side[:, 0].min()) + 0.2, float(side[:, 0].max()) - 0.2
    for z0, z1, tone in ((sill, sill + 0.12, 0.45), (belt - 0.16, belt - 0.1, 1.16)):
        strip = [(low, y, z0), (low, y, z1), (high - 0.3, y, z1), (high - 0.3, y, z0)]
        b.face([(px, py, pz) for px, py, pz in strip], shade(paint, tone), solid=False)
    for x in (-0.95, 0.1, 0.95):
        gap = [(x, y, sill + 0.1), (x, y, belt), (x + 0.025, y, belt), (x + 0.025, y, sill + 0.1)]
        b.face([(px, py, pz) for px, py, pz in gap], shade(paint, 0.5), solid=False)


def add_bumpers(b: Builder, length: float, half: float, sill: float) -> None:
    """Dark grille and bumper bands, on the ends of a car body."""
    for x, z0, z1, wide in (
        (length / 2 + 0.005, sill + 0.02, sill + 0.2, half - 0.15),
        (length / 2 + 0.005, 0.58, 0.72, half - 0.45),
        (-length / 2 - 0.005, sill + 0.02, sill + 0.14, half - 0.12),
    ):
        b.face([(x, -wide, z0), (x, -wide, z1), (x, wide, z1), (x, wide, z0)], DARK, solid=False)


def add_cabin(b: Builder, faces: list[F64], paint: Colour, *, van: bool) -> None:
    """Windows on the four sides of a cabin: faces rear, roof, front, base, left, right."""
    rear, _, front, _, left, right = faces
    b.panel(rear, (0.12, 0.88), (0.2, 0.88), GLASS)
    b.panel(front, (0.05, 0.95), (0.06, 0.9), GLASS)
    b.panel(front, (0.3, 0.55), (0.1, 0.85), shade(GLASS, 1.35))
    for side in (left, right):
        spans = [(0.66, 0.93)] if van else [(0.08, 0.33), (0.37, 0.63), (0.66, 0.92)]
        for span in spans:
            b.panel(side, span, (0.16, 0.86), GLASS)
            middle = (span[0] + span[1]) / 2
            b.panel(side, (middle - 0.03, middle + 0.04), (0.2, 0.84), shade(GLASS, 1.3))
        if not van:
            b.panel(side, (0.345, 0.36), (0.0, 0.9), shade(paint, 0.7))


def add_mirrors(b: Builder, x: float, half: float, z: float, paint: Colour) -> None:
    for side in (-1, 1):
        low, high = sorted((side * (half - 0.02), side * (half + 0.13)))
        b.box(3, (x, low, z - 0.02), (x + 0.16, high, z + 0.14), shade(paint, 0.8))
