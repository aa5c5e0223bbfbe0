"""From a shop front over the pavement to the road: people large, traffic passing behind."""

import numpy as np

from stages.sources.street.layout import Area, Lane, Layout, Path, Post, Stop, Tree, Walk
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
    plant,
    rectangle,
    terrace,
    zebra,
)
from stages.sources.street.solid import Pose
from stages.sources.street.views.mount import Mount

NEAR, FAR = Path(((-40, 9.9), (130, 9.9))), Path(((130, 13.3), (-40, 13.3)))
FOOTWAYS = [
    *both_ways(Path(((-12, 5.2), (110, 5.2))), 5.5, 3.4),
    *both_ways(Path(((-12, 16.7), (110, 16.7))), 6.0, 2.0),
]
GROUND = [
    Area(rectangle(-60, -5, 200, 7.9), PAVING, 14),
    Area(rectangle(-60, 7.7, 200, 7.95), KERB, 8),
    Area(rectangle(-60, 7.95, 200, 15.1), ASPHALT, 16),
    Area(rectangle(-60, 15.1, 200, 15.4), KERB, 8),
    Area(rectangle(-60, 15.4, 200, 22), PAVING, 12),
]
POSTS = [Post(x, 15.7, 0, -1.6) for x in (-3.0, 27.0, 52.0, 80.0)]


def layout(rng: np.random.Generator, width: int, height: int) -> Layout:
    yaw_deg = float(rng.uniform(16, 34))
    camera = Mount(0, 0, (2.8, 3.7), yaw_deg, (9, 13), (58, 70)).camera(rng, width, height)
    zebra_x = float(rng.uniform(15, 19))
    return Layout(
        camera,
        line=((6.2, 3.6), (8.6, 16.5)),
        lanes=[
            Lane(NEAR, 8.5, 4.2, CITY, Stop(40 + zebra_x - 2.2, GO)),
            Lane(FAR, 8.5, 4.2, CITY, Stop(130 - zebra_x - 5.2, GO)),
        ],
        walks=[*FOOTWAYS, *_crossing(zebra_x + 1.5)],
        areas=[
            *GROUND,
            *dashes(True, 11.55, -40, 150, clear_of=zebra_x + 1.5),
            *zebra(zebra_x, 7.95, zebra_x + 3.2, 15.1, bars_along_x=True),
        ],
        houses=terrace(rng, -30, 140, 18.6, 9, along_x=True),
        trees=_trees(rng, zebra_x),
        posts=POSTS + [Post(x, 7.4, 0, -1.4) for x in (-2.5, 9.5, zebra_x + 5)],
        standing=_standing(rng),
    )


def _crossing(x: float) -> list[Walk]:
    return crossing_walks(((x, 5.5), (x, 16.5)), 2.2, WALK, 9, ((-12, 4.5), (90, 17)))


def _trees(rng: np.random.Generator, zebra_x: float) -> list[Tree]:
    places = np.arange(-6, 80, 11) + rng.uniform(-2, 2, 8)
    return plant(rng, [(x, 16.0) for x in places.tolist() if abs(x - zebra_x) > 4], 4.5, 6.5)


def _standing(rng: np.random.Generator) -> list[Pose]:
    return [
        Pose(x, 16.0 + float(rng.uniform(0, 1.5)), float(rng.uniform(-3, 3)))
        for x in rng.uniform(0, 30, int(rng.integers(1, 4))).tolist()
    ]
