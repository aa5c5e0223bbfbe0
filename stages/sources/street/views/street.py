"""Along a street from a lamp post: houses and parked cars on both sides, a crossing ahead."""

import numpy as np

from stages.sources.street.layout import Area, House, Lane, Layout, Path, Post, Stop, Walk
from stages.sources.street.roadway import (
    ASPHALT,
    CITY,
    GO,
    KERB,
    PAVING,
    WALK,
    both_ways,
    crossing_walks,
    dashes,
    parked_row,
    plant,
    rectangle,
    terrace,
    zebra,
)
from stages.sources.street.solid import Pose
from stages.sources.street.views.mount import Mount

MOUNT = Mount((-4.6, -3.4), 0, (3.8, 5.4), (4, 15), (9, 14), (52, 64))
AWAY, TOWARD = Path(((1.8, -25), (1.8, 170))), Path(((-1.5, 170), (-1.5, -25)))
FOOTWAYS = [
    *both_ways(Path(((8.0, -10), (8.0, 95))), 6.5, 1.9),
    *both_ways(Path(((-7.6, -10), (-7.6, 95))), 9, 1.6),
]
GROUND = [
    Area(rectangle(-9.2, -20, 9.6, 300), PAVING, 13),
    Area(rectangle(-6.3, -20, 6.6, 300), KERB, 8),
    Area(rectangle(-6.05, -20, 6.35, 300), ASPHALT, 16),
]
POSTS = [Post(6.8, y, -1.6, 0) for y in (12.0, 36.0, 62.0, 95.0)]


def layout(rng: np.random.Generator, width: int, height: int) -> Layout:
    camera = MOUNT.camera(rng, width, height)
    zebra_y = float(rng.uniform(15, 19))
    tree_ys = np.arange(zebra_y + 12, 120, 14).tolist()
    return Layout(
        camera,
        line=((-9.0, zebra_y - 3.5), (9.4, zebra_y - 3.5)),
        lanes=[
            Lane(AWAY, 8, 5, CITY, Stop(25 + zebra_y - 1.5, GO)),
            Lane(TOWARD, 8, 5, CITY, Stop(170 - zebra_y - 4.8, GO)),
        ],
        walks=[*FOOTWAYS, *_crossing(zebra_y + 1.6)],
        areas=[
            *GROUND,
            *dashes(False, 0.15, 0, 160, clear_of=zebra_y + 1),
            *zebra(-6.0, zebra_y, 6.3, zebra_y + 3.2, bars_along_x=False),
        ],
        houses=_houses(rng),
        parked=_parked(rng, zebra_y),
        trees=plant(rng, [(x, y) for x in (6.9, -6.8) for y in tree_ys], 4, 6),
        posts=list(POSTS),
        standing=_standing(rng),
    )


def _crossing(y: float) -> list[Walk]:
    return crossing_walks(((-7, y), (7.5, y)), 0.9, WALK, 9, ((-7.6, 80), (8.2, -10)))


def _houses(rng: np.random.Generator) -> list[House]:
    right = terrace(rng, 2, 200, 9.6, 10, along_x=False)
    return right + terrace(rng, -5, 200, -9.2, -10, along_x=False)


def _parked(rng: np.random.Generator, zebra_y: float) -> list[tuple[int, Pose]]:
    right = parked_row(rng, zebra_y + 9, 85, 5.1, np.pi / 2, 0.7, along_x=False)
    return right + parked_row(rng, zebra_y + 8, 85, -4.8, -np.pi / 2, 0.6, along_x=False)


def _standing(rng: np.random.Generator) -> list[Pose]:
    return [
        Pose(8.8, y, float(np.pi + rng.uniform(-1, 1)))
        for y in rng.uniform(9, 30, int(rng.integers(1, 4))).tolist()
    ]
