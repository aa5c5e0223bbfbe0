"""Cars, vans, buses and trucks as solids: drawn from a generator, no two quite alike."""

import numpy as np

from stages.sources.street.camera import F64
from stages.sources.street.solid import Builder, Colour, Lamp, Point, Solid

TYRE: Colour = (30, 30, 32)
RIM: Colour = (150, 152, 156)
GLASS: Colour = (52, 66, 80)
DARK: Colour = (38, 38, 42)
HEAD_LIGHT: Colour = (255, 244, 214)
TAIL_LIGHT: Colour = (255, 40, 24)
SIGN: Colour = (255, 170, 40)

CAR_PAINT: list[Colour] = [
    (236, 237, 238), (205, 208, 212), (150, 154, 160), (92, 96, 102), (36, 38, 42), (24, 26, 34),
    (172, 34, 36), (34, 66, 130), (52, 96, 168), (118, 24, 36), (46, 92, 70), (214, 186, 60),
    (198, 182, 152), (224, 108, 40), (84, 138, 160), (240, 200, 40),
]  # fmt: skip
CAR_SHARE = np.array([6, 5, 5, 4, 5, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1], dtype=np.float64)
BUS_PAINT: list[tuple[Colour, Colour]] = [
    ((196, 32, 40), (240, 236, 228)), ((34, 96, 168), (236, 238, 240)), ((236, 238, 238), (40, 120, 84)),
    ((240, 176, 32), (60, 60, 66)), ((58, 140, 96), (238, 236, 220)), ((90, 52, 130), (230, 226, 236)),
    ((232, 234, 236), (210, 60, 40)), ((40, 150, 170), (236, 240, 240)), ((228, 120, 36), (240, 240, 238)),
]  # fmt: skip
CAB_PAINT: list[Colour] = [
    (238, 238, 236), (178, 36, 36), (38, 72, 140), (226, 176, 40), (52, 110, 80), (60, 62, 68),
    (224, 104, 40), (120, 150, 176), (240, 240, 240),
]  # fmt: skip
LOAD_PAINT: list[Colour] = [
    (240, 240, 238), (226, 228, 230), (196, 200, 204), (52, 84, 140), (156, 52, 44), (70, 110, 84),
    (214, 184, 92), (120, 90, 66), (96, 100, 108), (230, 140, 60),
]  # fmt: skip


def pick(rng: np.random.Generator, colours: list[Colour], share: F64 | None = None) -> Colour:
    """One of the colours, varied a little."""
    chance = None if share is None else share / share.sum()
    base = colours[int(rng.choice(len(colours), p=chance))]
    red, green, blue = np.clip(np.array(base) + rng.normal(0, 7, 3), 8, 250).tolist()
    return (red, green, blue)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, darker below 1 and lighter above."""
    red, green, blue = (min(255.0, part * factor) for part in colour)
    return (red, green, blue)


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
        (tail + 0.08, sill, half - 0.04), (tail, 0.55, half - 0.02), (tail + 0.05, belt, half - 0.06),
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
