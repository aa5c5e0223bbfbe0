"""Houses with windows and shops, plain walls, and the walls of a passage indoors."""

import numpy as np

from stages.sources.street.layout import House
from stages.sources.street.palette import Colour, pick, shade
from stages.sources.street.sheet import Sheet
from stages.sources.street.solid import Point

WALLS: list[Colour] = [
    (196, 120, 92), (206, 186, 152), (224, 214, 194), (150, 108, 88), (184, 190, 194),
    (214, 170, 132), (168, 176, 160), (228, 206, 168), (140, 146, 156), (232, 226, 216),
    (176, 142, 140),
]  # fmt: skip
AWNINGS: list[Colour] = [
    (168, 52, 48), (44, 92, 84), (42, 66, 112), (206, 150, 60), (90, 60, 90), (222, 216, 204),
]  # fmt: skip
DOORS: list[Colour] = [(120, 86, 60), (86, 104, 120), (150, 140, 124)]
PANE: Colour = (78, 92, 108)
CONCRETE: Colour = (158, 156, 150)
CEILING_M = 3.3
FLOOR_M = 3.0

Spot = tuple[float, float]


class Facade:
    """One upright side of a house from ground point a to c, measured along it in metres."""

    def __init__(self, sheet: Sheet, a: Spot, c: Spot, top: float) -> None:
        self._sheet, self._a, self._c, self.top = sheet, a, c, top
        self.span = float(np.hypot(c[0] - a[0], c[1] - a[1]))

    def plate(self, u: Spot, z: Spot) -> list[Point]:
        """The corners of a rectangle on the wall: `u` along it, `z` up."""
        (ax, ay), (cx, cy) = self._a, self._c
        ends = [(ax + (cx - ax) * m / self.span, ay + (cy - ay) * m / self.span) for m in u]
        low, high = z
        return [(*ends[0], low), (*ends[0], high), (*ends[1], high), (*ends[1], low)]

    def fill(self, u: Spot, z: Spot, colour: Colour, *, hides: bool = False) -> None:
        self._sheet.fill(self.plate(u, z), colour, hides=hides)

    def shine(self, u: Spot, z: Spot, level: float) -> None:
        self._sheet.shine(self.plate(u, z), level)

    def bays(self) -> list[Spot]:
        """Where the windows of a floor are."""
        count = max(2, int(self.span / 2.4))
        pitch = self.span / count
        return [((i + 0.26) * pitch, (i + 0.74) * pitch) for i in range(count)]

    def whole(self) -> Spot:
        return (0.0, self.span)


def paint_house(sheet: Sheet, rng: np.random.Generator, house: House) -> None:
    """The sides that face the camera, and the roof when it is seen from above."""
    wall = CONCRETE if house.plain else pick(rng, WALLS)
    awning = pick(rng, AWNINGS) if rng.random() < 0.65 else None
    x0, y0, x1, y1, top = house.x0, house.y0, house.x1, house.y1, house.height_m
    if sheet.camera.origin[2] > top:
        roof: list[Point] = [(x0, y0, top), (x1, y0, top), (x1, y1, top), (x0, y1, top)]
        sheet.fill(roof, (150, 144, 138), hides=True)
    for a, c, outward in seen_sides(sheet, house):
        facing = max(0.0, float(sheet.mood.sun.toward[:2] @ np.array(outward)))
        tone = shade(wall, sheet.mood.sun.ambient * 0.95 + sheet.mood.sun.direct * facing)
        facade = Facade(sheet, a, c, top)
        facade.fill(facade.whole(), (0, top), tone, hides=True)
        if house.plain:
            facade.fill(facade.whole(), (top - 0.1, top), shade(tone, 1.15))
        else:
            paint_facade(facade, rng, tone, awning)


def seen_sides(sheet: Sheet, house: House) -> list[tuple[Spot, Spot, Spot]]:
    """The sides turned to the camera: two ground points and the outward direction."""
    x0, y0, x1, y1 = house.x0, house.y0, house.x1, house.y1
    x, y = sheet.camera.origin[:2].tolist()
    sides: list[tuple[Spot, Spot, Spot, bool]] = [
        ((x0, y0), (x1, y0), (0.0, -1.0), y < y0),
        ((x1, y1), (x0, y1), (0.0, 1.0), y > y1),
        ((x0, y1), (x0, y0), (-1.0, 0.0), x < x0),
        ((x1, y0), (x1, y1), (1.0, 0.0), x > x1),
    ]
    return [(a, c, outward) for a, c, outward, shown in sides if shown]


def paint_facade(
    facade: Facade, rng: np.random.Generator, wall: Colour, awning: Colour | None
) -> None:
    """Windows on every floor; below them a shop, or more windows and a door."""
    facade.fill(facade.whole(), (0, 0.5), shade(wall, 0.72))
    facade.fill(facade.whole(), (facade.top - 0.45, facade.top), shade(wall, 1.12))
    for floor in range(1, max(2, int((facade.top - 0.9) / FLOOR_M))):
        low = 0.9 + FLOOR_M * floor
        for bay in facade.bays():
            paint_window(facade, rng, bay, (low, low + 1.65), wall)
    if awning is not None:
        paint_shop(facade, rng, awning)
        return
    first, *others = facade.bays()
    for bay in others:
        paint_window(facade, rng, bay, (0.9, 2.6), wall)
    facade.fill(first, (0, 2.5), shade(wall, 0.45))


def paint_window(facade: Facade, rng: np.random.Generator, u: Spot, z: Spot, wall: Colour) -> None:
    frame, middle = shade(wall, 1.16), (u[0] + u[1]) / 2
    facade.fill((u[0] - 0.1, u[1] + 0.1), (z[0] - 0.12, z[1] + 0.1), frame)
    facade.fill(u, z, shade(PANE, float(rng.uniform(0.8, 1.45))))
    if rng.random() < 0.32:
        facade.shine(u, z, float(rng.uniform(0.4, 1)))
        facade.shine((middle - 0.03, middle + 0.03), z, 0)
    facade.fill((middle - 0.03, middle + 0.03), z, frame)


def paint_shop(facade: Facade, rng: np.random.Generator, awning: Colour) -> None:
    """Lit panes under an awning with a pale sign."""
    end = facade.span - 0.4
    facade.fill((0.4, end), (0.5, 2.7), shade(PANE, 0.8))
    count = len(facade.bays())
    for i in range(count):
        u = (0.5 + i * (end - 0.5) / count, 0.4 + (i + 0.93) * (end - 0.5) / count)
        glass = shade(PANE, float(rng.uniform(0.9, 1.5)))
        facade.fill(u, (0.6, 2.6), glass if rng.random() < 0.8 else shade(awning, 0.7))
        facade.shine(u, (0.6, 2.6), float(rng.uniform(0.5, 1)))
    facade.fill((0.2, facade.span - 0.2), (2.7, 3.35), awning)
    facade.fill((facade.span * 0.25, facade.span * 0.7), (2.88, 3.16), shade(awning, 1.6))


def paint_indoor_wall(sheet: Sheet, rng: np.random.Generator, house: House) -> None:
    """A wall with skirting and rail; doors and posters on those along the passage."""
    door = pick(rng, DOORS)
    for a, c, outward in seen_sides(sheet, house):
        tone = 0.94 + 0.06 * outward[0] - 0.02 * outward[1]
        facade = Facade(sheet, a, c, house.height_m)
        facade.fill(facade.whole(), (0, house.height_m), shade((214, 210, 200), tone))
        facade.fill(facade.whole(), (0, 0.14), (110, 104, 98))
        facade.fill(facade.whole(), (1.0, 1.1), shade(door, 1.3))
        if outward[0] == 0:
            continue
        for at in np.arange(2.2, facade.span - 3, 4.6).tolist():
            facade.fill((at, at + 1.0), (0, 2.1), shade(door, tone))
            facade.fill((at + 1.8, at + 2.6), (1.4, 2.1), pick(rng, AWNINGS))


def paint_ceiling(sheet: Sheet) -> None:
    """A pale ceiling with a row of light panels."""
    z = CEILING_M
    sheet.fill([(-30, -6, z), (30, -6, z), (30, 60, z), (-30, 60, z)], (222, 220, 214))
    for y in np.arange(3, 40, 4.0).tolist():
        panel: list[Point] = [(-0.6, y, z), (0.6, y, z), (0.6, y + 1.4, z), (-0.6, y + 1.4, z)]
        sheet.fill(panel, (255, 253, 244))
