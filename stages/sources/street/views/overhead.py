"""Steeply down from a tall mast on an avenue with a crossing."""

import numpy as np

from stages.sources.street.layout import Area, House, Lane, Layout, Path, Post, Stop, Walk
from stages.sources.street.roadway import (
    AMBER,
    ASPHALT,
    CITY,
    GO,
    GRASS,
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
from stages.sources.street.views.mount import Mount

MOUNT = Mount((9, 12), (-6, -3), (12, 16), (-30, -16), (32, 40), (54, 66))
FOOTWAYS = [
    *both_ways(Path(((9.4, -20), (9.4, 110))), 5, 2.2),
    *both_ways(Path(((-9.4, -20), (-9.4, 110))), 5, 2.2),
]
GROUND = [
    Area(rectangle(-300, -80, 300, 500), GRASS, 16),
    Area(rectangle(-11.5, -80, 11.5, 500), PAVING, 13),
    Area(rectangle(-7.7, -80, 7.7, 500), KERB, 6),
    Area(rectangle(-7.4, -80, 7.4, 500), ASPHALT, 15),
]
MIDDLE_LINES = [Area(rectangle(x - 0.07, -50, x + 0.07, 300), AMBER, 6) for x in (-0.12, 0.12)]
TREES = [(x, y) for x in (-12.6, 12.6) for y in np.arange(18.0, 110, 10).tolist()]
POSTS = [
    *(Post(-8.2, y, 1.8, 0, 7.5) for y in (4.0, 30.0, 62.0)),
    *(Post(8.2, y, -1.8, 0, 7.5) for y in (34.0, 66.0)),
]


def layout(rng: np.random.Generator, width: int, height: int) -> Layout:
    camera = MOUNT.camera(rng, width, height)
    zebra_y = float(rng.uniform(20, 24))
    lines = [m for x in (-3.65, 3.65) for m in dashes(False, x, -20, 150, clear_of=zebra_y)]
    return Layout(
        camera,
        line=((-11.2, 13.0), (11.2, 13.0)),
        lanes=_lanes(zebra_y),
        walks=[*FOOTWAYS, *_crossing(zebra_y + 1.6)],
        areas=[
            *GROUND,
            *lines,
            *MIDDLE_LINES,
            *zebra(-7.4, zebra_y, 7.4, zebra_y + 3.2, bars_along_x=False),
        ],
        houses=_houses(rng),
        trees=plant(rng, TREES, 3.5, 5.5),
        posts=list(POSTS),
    )


def _lanes(zebra_y: float) -> list[Lane]:
    away, toward = Stop(50 + zebra_y - 1.2, GO), Stop(150 - zebra_y - 4.6, GO)
    return [
        Lane(Path(way), speed_mps, 5.5, CITY, stop)
        for x, speed_mps in ((1.9, 9.5), (5.4, 8.5))
        for way, stop in ((((x, -50), (x, 150)), away), (((-x, 150), (-x, -50)), toward))
    ]


def _crossing(y: float) -> list[Walk]:
    return crossing_walks(((-9, y), (9, y)), 1.4, WALK, 5, ((-9.4, 100), (9.4, -20)))


def _houses(rng: np.random.Generator) -> list[House]:
    left = terrace(rng, -10, 140, -14, -14, along_x=False)
    return left + terrace(rng, 30, 140, 14, 14, along_x=False)
