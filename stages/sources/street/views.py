"""The views: where each camera hangs, and the street in front of it."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from stages.sources.street.camera import Camera
from stages.sources.street.layout import (
    Area,
    House,
    Lane,
    Layout,
    Path,
    Post,
    Signal,
    Stop,
    Tree,
)
from stages.sources.street.roadway import (
    AMBER,
    ASPHALT,
    FLOOR,
    GRASS,
    KERB,
    PAINT,
    PAVING,
    both_ways,
    crossing_walks,
    dashes,
    parked_row,
    rectangle,
    terrace,
    zebra,
)
from stages.sources.street.solid import Pose

View = Literal["pavement", "street", "junction", "highway", "overhead", "corridor"]
VIEWS: tuple[View, ...] = get_args(View)

CITY = (0.58, 0.17, 0.13, 0.12)
FAST = (0.58, 0.1, 0.11, 0.21)
GO, WALK_GO, CYCLE_S = (0.0, 13.0), (15.5, 21.0), 26.0


def pavement(rng: np.random.Generator, width: int, height: int) -> Layout:
    """From a shop front over the pavement to the road: people large, traffic passing behind."""
    yaw = float(rng.uniform(16, 34))
    camera = Camera(
        width,
        height,
        (0, 0, float(rng.uniform(2.8, 3.7))),
        yaw,
        float(rng.uniform(9, 13)),
        float(rng.uniform(58, 70)),
    )
    go, walk = Signal(CYCLE_S, *GO), Signal(CYCLE_S, *WALK_GO)
    zx = float(rng.uniform(15, 19))
    out = Layout(camera, line=((6.2, 3.6), (8.6, 16.5)))
    near = Path(((-40, 9.9), (130, 9.9)))
    far = Path(((130, 13.3), (-40, 13.3)))
    out.lanes = [
        Lane(near, 8.5, 4.2, CITY, Stop(40 + zx - 2.2, go)),
        Lane(far, 8.5, 4.2, CITY, Stop(130 - zx - 5.2, go)),
    ]
    out.walks = both_ways(Path(((-12, 5.2), (110, 5.2))), 5.5, 3.4)
    out.walks += both_ways(Path(((-12, 16.7), (110, 16.7))), 6.0, 2.0)
    out.walks += crossing_walks(
        ((zx + 1.5, 5.5), (zx + 1.5, 16.5)), 2.2, walk, 9, ((-12, 4.5), (90, 17))
    )
    out.areas = [
        Area(rectangle(-60, -5, 200, 7.9), PAVING, 14),
        Area(rectangle(-60, 7.7, 200, 7.95), KERB, 8),
        Area(rectangle(-60, 7.95, 200, 15.1), ASPHALT, 16),
        Area(rectangle(-60, 15.1, 200, 15.4), KERB, 8),
        Area(rectangle(-60, 15.4, 200, 22), PAVING, 12),
    ]
    out.areas += [a for a in dashes(True, 11.55, -40, 150) if abs(a.corners[0][0] - zx - 1.5) > 5]
    out.areas += zebra(zx, 7.95, zx + 3.2, 15.1, bars_along_x=True)
    out.houses = terrace(rng, -30, 140, 18.6, 9, along_x=True)
    out.trees = [
        Tree(float(x), 16.0, float(rng.uniform(4.5, 6.5)))
        for x in np.arange(-6, 80, 11) + rng.uniform(-2, 2, 8)
        if abs(x - zx) > 4
    ]
    out.posts = [Post(x, 15.7, 0, -1.6) for x in (-3.0, 27.0, 52.0, 80.0)] + [
        Post(x, 7.4, 0, -1.4) for x in (-2.5, 9.5, zx + 5)
    ]
    out.standing = [
        Pose(float(x), 16.0 + float(rng.uniform(0, 1.5)), float(rng.uniform(-3, 3)))
        for x in rng.uniform(0, 30, int(rng.integers(1, 4)))
    ]
    return out


def street(rng: np.random.Generator, width: int, height: int) -> Layout:
    """Along a street from a lamp post: houses and parked cars on both sides, a crossing ahead."""
    camera = Camera(
        width,
        height,
        (float(rng.uniform(-4.6, -3.4)), 0, float(rng.uniform(3.8, 5.4))),
        float(rng.uniform(4, 15)),
        float(rng.uniform(9, 14)),
        float(rng.uniform(52, 64)),
    )
    go, walk = Signal(CYCLE_S, *GO), Signal(CYCLE_S, *WALK_GO)
    zy = float(rng.uniform(15, 19))
    out = Layout(camera, line=((-9.0, zy - 3.5), (9.4, zy - 3.5)))
    away, toward = Path(((1.8, -25), (1.8, 170))), Path(((-1.5, 170), (-1.5, -25)))
    out.lanes = [
        Lane(away, 8, 5, CITY, Stop(25 + zy - 1.5, go)),
        Lane(toward, 8, 5, CITY, Stop(170 - zy - 4.8, go)),
    ]
    out.walks = both_ways(Path(((8.0, -10), (8.0, 95))), 6.5, 1.9) + both_ways(
        Path(((-7.6, -10), (-7.6, 95))), 9, 1.6
    )
    out.walks += crossing_walks(
        ((-7, zy + 1.6), (7.5, zy + 1.6)), 0.9, walk, 9, ((-7.6, 80), (8.2, -10))
    )
    out.areas = [
        Area(rectangle(-9.2, -20, 9.6, 300), PAVING, 13),
        Area(rectangle(-6.3, -20, 6.6, 300), KERB, 8),
        Area(rectangle(-6.05, -20, 6.35, 300), ASPHALT, 16),
    ]
    out.areas += [a for a in dashes(False, 0.15, 0, 160) if abs(a.corners[0][1] - zy - 1) > 5]
    out.areas += zebra(-6.0, zy, 6.3, zy + 3.2, bars_along_x=False)
    out.houses = terrace(rng, 2, 200, 9.6, 10, along_x=False) + terrace(
        rng, -5, 200, -9.2, -10, along_x=False
    )
    out.parked = parked_row(rng, zy + 9, 85, 5.1, np.pi / 2, 0.7, along_x=False) + parked_row(
        rng, zy + 8, 85, -4.8, -np.pi / 2, 0.6, along_x=False
    )
    out.trees = [
        Tree(x, float(y), float(rng.uniform(4, 6)))
        for x in (6.9, -6.8)
        for y in np.arange(zy + 12, 120, 14)
    ]
    out.posts = [Post(6.8, y, -1.6, 0) for y in (12.0, 36.0, 62.0, 95.0)]
    out.standing = [
        Pose(8.8, float(y), float(np.pi + rng.uniform(-1, 1)))
        for y in rng.uniform(9, 30, int(rng.integers(1, 4)))
    ]
    return out


def junction(rng: np.random.Generator, width: int, height: int) -> Layout:
    """A crossroads from above a corner: two phases of traffic, four crossings."""
    camera = Camera(
        width,
        height,
        (float(rng.uniform(-13, -11)), float(rng.uniform(-19, -16)), float(rng.uniform(7, 10))),
        float(rng.uniform(28, 38)),
        float(rng.uniform(17, 21)),
        float(rng.uniform(58, 68)),
    )
    cycle = 36.0
    ns, ew = Signal(cycle, 0, 11), Signal(cycle, 18, 29)
    walk_over_y, walk_over_x = Signal(cycle, 19, 24), Signal(cycle, 1, 6)
    out = Layout(camera, line=((-8.8, 11.5), (8.8, 11.5)))
    out.lanes = [
        Lane(Path(((2.0, -60), (2.0, 150))), 8, 5, CITY, Stop(50.4, ns)),
        Lane(Path(((-2.0, 150), (-2.0, -60))), 8, 5, CITY, Stop(140.4, ns)),
        Lane(Path(((-70, -2.0), (150, -2.0))), 8, 5, CITY, Stop(60.4, ew)),
        Lane(Path(((150, 2.0), (-70, 2.0))), 8, 5, CITY, Stop(140.4, ew)),
    ]
    for y, tail in ((-6.9, -45), (6.9, 90)):
        out.walks += crossing_walks(
            ((-6.5, y), (6.5, y)), 1.8, walk_over_y, 11, ((-6.8, tail), (6.8, tail))
        )
    for x, tail in ((-6.9, -45), (6.9, 90)):
        out.walks += crossing_walks(
            ((x, -6.5), (x, 6.5)), 1.8, walk_over_x, 11, ((tail, -6.8), (tail, 6.8))
        )
    for path in (
        ((7, -40), (6.2, -6.2), (90, -7)),
        ((6.5, 90), (6.5, 6.5), (90, 6.5)),
        ((-6.5, 90), (-6.5, 6.5), (-50, 6.8)),
    ):
        out.walks += both_ways(Path(path), 10, 1.6)
    big = 300
    out.areas = [Area(rectangle(-big, -big, big, big), PAVING, 12)]
    for wide, colour, rough in ((4.4, KERB, 6), (4.2, ASPHALT, 15)):
        out.areas += [
            Area(rectangle(-wide, -60, wide, big), colour, rough),
            Area(rectangle(-80, -wide, big, wide), colour, rough),
        ]
    for low, high in ((-60, -10), (10, 150)):
        out.areas += dashes(False, 0, low, high) + dashes(True, 0, low, high)
    for at in (-8.5, 5.4):
        out.areas += zebra(-4.2, at, 4.2, at + 3.0, bars_along_x=False) + zebra(
            at, -4.2, at + 3.0, 4.2, bars_along_x=True
        )
    out.areas += [
        Area(rectangle(0.1, -9.4, 4.1, -9.0), PAINT, 6),
        Area(rectangle(-4.1, 9.0, -0.1, 9.4), PAINT, 6),
        Area(rectangle(-9.4, -4.1, -9.0, -0.1), PAINT, 6),
        Area(rectangle(9.0, 0.1, 9.4, 4.1), PAINT, 6),
    ]
    out.houses = terrace(rng, 9.5, 110, 9.5, 12, along_x=True) + terrace(
        rng, 22, 120, 9.5, 12, along_x=False
    )
    out.houses += terrace(rng, 9.5, 120, -9.5, -12, along_x=False) + terrace(
        rng, 9.5, 100, -9.5, -12, along_x=True
    )
    out.trees = [
        Tree(x, y, float(rng.uniform(4, 6)))
        for x, y in ((8.4, 14), (-8.4, 14), (-8.4, 26), (16, 8.2), (30, 8.2), (8.4, 30))
    ]
    out.posts = [
        Post(5.2, 5.2, -1.5, -1.5),
        Post(-5.2, 5.2, 1.5, -1.5),
        Post(5.2, -5.2, -1.5, 1.5),
        Post(5.4, 30, -1.6, 0),
        Post(30, 5.4, 0, -1.6),
    ]
    return out


def highway(rng: np.random.Generator, width: int, height: int) -> Layout:
    """From a bridge over a motorway: lorries and coaches among cars, both directions."""
    camera = Camera(
        width,
        height,
        (float(rng.uniform(-3, 3)), 0, float(rng.uniform(6.8, 9))),
        float(rng.uniform(-6, 6)),
        float(rng.uniform(11, 17)),
        float(rng.uniform(48, 60)),
    )
    out = Layout(camera, line=((-13.0, 24.0), (13.0, 24.0)))
    for lane, (x, pace) in enumerate(((3.2, 24.0), (6.9, 20.0), (10.6, 16.0))):
        share = FAST if lane else (0.8, 0.12, 0.03, 0.05)
        out.lanes.append(Lane(Path(((x, -40), (x, 260))), pace, 4.2, share))
        out.lanes.append(Lane(Path(((-x, 260), (-x, -40))), pace, 4.2, share))
    out.areas = [
        Area(rectangle(-300, -60, 300, 700), GRASS, 20),
        Area(rectangle(-15.5, -60, 15.5, 700), (126, 124, 120), 14),
        Area(rectangle(-12.8, -60, 12.8, 700), ASPHALT, 13),
        Area(rectangle(-0.9, -60, 0.9, 700), (150, 148, 142), 10),
    ]
    for x in (5.05, 8.75):
        out.areas += dashes(False, x, 0, 260, 0.18) + dashes(False, -x, 0, 260, 0.18)
    for x in (1.3, -1.3, 12.5, -12.5):
        out.areas.append(Area(rectangle(x - 0.09, -40, x + 0.09, 500), PAINT, 6))
    for x in (0.0, 15.0, -15.0):
        out.houses.append(House(x - 0.12, -20, x + 0.12, 400, 0.75, plain=True))
    out.trees = [
        Tree(side * float(rng.uniform(19, 40)), float(y), float(rng.uniform(5, 10)))
        for side in (-1, 1)
        for y in np.arange(28, 190, 9)
    ]
    out.posts = [Post(0, y, s * 2.2, 0, 10) for y in (30.0, 70.0, 115.0, 165.0) for s in (-1, 1)]
    return out


def overhead(rng: np.random.Generator, width: int, height: int) -> Layout:
    """Steeply down from a tall mast on an avenue with a crossing."""
    camera = Camera(
        width,
        height,
        (float(rng.uniform(9, 12)), float(rng.uniform(-6, -3)), float(rng.uniform(12, 16))),
        float(rng.uniform(-30, -16)),
        float(rng.uniform(32, 40)),
        float(rng.uniform(54, 66)),
    )
    go, walk = Signal(CYCLE_S, *GO), Signal(CYCLE_S, *WALK_GO)
    zy = float(rng.uniform(20, 24))
    out = Layout(camera, line=((-11.2, 13.0), (11.2, 13.0)))
    for x, pace in ((1.9, 9.5), (5.4, 8.5)):
        out.lanes.append(Lane(Path(((x, -50), (x, 150))), pace, 5.5, CITY, Stop(50 + zy - 1.2, go)))
        out.lanes.append(
            Lane(Path(((-x, 150), (-x, -50))), pace, 5.5, CITY, Stop(150 - zy - 4.6, go))
        )
    out.walks = both_ways(Path(((9.4, -20), (9.4, 110))), 5, 2.2) + both_ways(
        Path(((-9.4, -20), (-9.4, 110))), 5, 2.2
    )
    out.walks += crossing_walks(
        ((-9, zy + 1.6), (9, zy + 1.6)), 1.4, walk, 5, ((-9.4, 100), (9.4, -20))
    )
    out.areas = [
        Area(rectangle(-300, -80, 300, 500), GRASS, 16),
        Area(rectangle(-11.5, -80, 11.5, 500), PAVING, 13),
        Area(rectangle(-7.7, -80, 7.7, 500), KERB, 6),
        Area(rectangle(-7.4, -80, 7.4, 500), ASPHALT, 15),
    ]
    for x in (-3.65, 3.65):
        out.areas += [a for a in dashes(False, x, -20, 150) if abs(a.corners[0][1] - zy) > 5]
    for x in (-0.12, 0.12):
        out.areas.append(Area(rectangle(x - 0.07, -50, x + 0.07, 300), AMBER, 6))
    out.areas += zebra(-7.4, zy, 7.4, zy + 3.2, bars_along_x=False)
    out.houses = terrace(rng, -10, 140, -14, -14, along_x=False) + terrace(
        rng, 30, 140, 14, 14, along_x=False
    )
    out.trees = [
        Tree(side * 12.6, float(y), float(rng.uniform(3.5, 5.5)))
        for side in (-1, 1)
        for y in np.arange(18, 110, 10)
    ]
    out.posts = [Post(-8.2, y, 1.8, 0, 7.5) for y in (4.0, 30.0, 62.0)] + [
        Post(8.2, y, -1.8, 0, 7.5) for y in (34.0, 66.0)
    ]
    return out


def corridor(rng: np.random.Generator, width: int, height: int) -> Layout:
    """A wide passage indoors from under its ceiling: people only."""
    half = float(rng.uniform(2.6, 4.2))
    camera = Camera(
        width,
        height,
        (float(rng.uniform(-0.5, 0.5)) * half, 0, float(rng.uniform(2.6, 3.1))),
        float(rng.uniform(-8, 8)),
        float(rng.uniform(14, 22)),
        float(rng.uniform(62, 76)),
    )
    out = Layout(camera, indoor=True, line=((-half + 0.1, 7.0), (half - 0.1, 7.0)))
    out.walks = both_ways(Path(((0, -4), (0, 39.5))), 7.5, 2 * half - 2.0)
    tone = float(rng.uniform(0.8, 1.1))
    out.areas = [
        Area(rectangle(-30, -6, 30, 60), (FLOOR[0] * tone, FLOOR[1] * tone, FLOOR[2] * tone), 7)
    ]
    for x in np.arange(-half, half, 1.2).tolist():
        out.areas.append(
            Area(rectangle(x, -6, x + 0.03, 40), (150 * tone, 146 * tone, 138 * tone), 4)
        )
    for y in np.arange(0, 40, 1.2).tolist():
        out.areas.append(
            Area(rectangle(-half, y, half, y + 0.03), (150 * tone, 146 * tone, 138 * tone), 4)
        )
    out.houses = [
        House(-half - 8, -6, -half, 44, 3.3, plain=True),
        House(half, -6, half + 8, 44, 3.3, plain=True),
        House(-half - 8, 40, half + 8, 42, 3.3, plain=True),
    ]
    out.standing = [
        Pose(float(rng.choice([-1, 1])) * (half - 0.5), float(y), float(rng.uniform(-3, 3)))
        for y in rng.uniform(5, 16, int(rng.integers(0, 4)))
    ]
    return out


LAYOUTS: dict[View, Callable[[np.random.Generator, int, int], Layout]] = {
    "pavement": pavement,
    "street": street,
    "junction": junction,
    "highway": highway,
    "overhead": overhead,
    "corridor": corridor,
}
