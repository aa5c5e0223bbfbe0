"""A crossroads from above a corner: two phases of traffic, four crossings."""

import numpy as np

from stages.sources.street.layout import Area, House, Lane, Layout, Path, Post, Signal, Stop
from stages.sources.street.roadway import (
    ASPHALT,
    CITY,
    KERB,
    PAINT,
    PAVING,
    both_ways,
    crossing_walks,
    dashes,
    plant,
    rectangle,
    terrace,
    zebra,
)
from stages.sources.street.views.mount import Mount

MOUNT = Mount((-13, -11), (-19, -16), (7, 10), (28, 38), (17, 21), (58, 68))
CYCLE_S = 36.0
GO_ALONG_Y, WALK_ALONG_Y = Signal(CYCLE_S, 0, 11), Signal(CYCLE_S, 1, 6)
GO_ALONG_X, WALK_ALONG_X = Signal(CYCLE_S, 18, 29), Signal(CYCLE_S, 19, 24)
LANES = [
    Lane(Path(((2.0, -60), (2.0, 150))), 8, 5, CITY, Stop(50.4, GO_ALONG_Y)),
    Lane(Path(((-2.0, 150), (-2.0, -60))), 8, 5, CITY, Stop(140.4, GO_ALONG_Y)),
    Lane(Path(((-70, -2.0), (150, -2.0))), 8, 5, CITY, Stop(60.4, GO_ALONG_X)),
    Lane(Path(((150, 2.0), (-70, 2.0))), 8, 5, CITY, Stop(140.4, GO_ALONG_X)),
]
CROSSINGS = (
    (((-6.5, -6.9), (6.5, -6.9)), WALK_ALONG_X, ((-6.8, -45), (6.8, -45))),
    (((-6.5, 6.9), (6.5, 6.9)), WALK_ALONG_X, ((-6.8, 90), (6.8, 90))),
    (((-6.9, -6.5), (-6.9, 6.5)), WALK_ALONG_Y, ((-45, -6.8), (-45, 6.8))),
    (((6.9, -6.5), (6.9, 6.5)), WALK_ALONG_Y, ((90, -6.8), (90, 6.8))),
)
CORNERS = (
    ((7, -40), (6.2, -6.2), (90, -7)),
    ((6.5, 90), (6.5, 6.5), (90, 6.5)),
    ((-6.5, 90), (-6.5, 6.5), (-50, 6.8)),
)
GROUND = [
    Area(rectangle(-300, -300, 300, 300), PAVING, 12),
    Area(rectangle(-4.4, -60, 4.4, 300), KERB, 6),
    Area(rectangle(-80, -4.4, 300, 4.4), KERB, 6),
    Area(rectangle(-4.2, -60, 4.2, 300), ASPHALT, 15),
    Area(rectangle(-80, -4.2, 300, 4.2), ASPHALT, 15),
    *dashes(False, 0, -60, -10),
    *dashes(True, 0, -60, -10),
    *dashes(False, 0, 10, 150),
    *dashes(True, 0, 10, 150),
    *zebra(-4.2, -8.5, 4.2, -5.5, bars_along_x=False),
    *zebra(-8.5, -4.2, -5.5, 4.2, bars_along_x=True),
    *zebra(-4.2, 5.4, 4.2, 8.4, bars_along_x=False),
    *zebra(5.4, -4.2, 8.4, 4.2, bars_along_x=True),
    Area(rectangle(0.1, -9.4, 4.1, -9.0), PAINT, 6),
    Area(rectangle(-4.1, 9.0, -0.1, 9.4), PAINT, 6),
    Area(rectangle(-9.4, -4.1, -9.0, -0.1), PAINT, 6),
    Area(rectangle(9.0, 0.1, 9.4, 4.1), PAINT, 6),
]
TREES = [(8.4, 14), (-8.4, 14), (-8.4, 26), (16, 8.2), (30, 8.2), (8.4, 30)]
POSTS = [
    Post(5.2, 5.2, -1.5, -1.5),
    Post(-5.2, 5.2, 1.5, -1.5),
    Post(5.2, -5.2, -1.5, 1.5),
    Post(5.4, 30, -1.6, 0),
    Post(30, 5.4, 0, -1.6),
]


def layout(rng: np.random.Generator, width: int, height: int) -> Layout:
    walks = [
        walk
        for ends, signal, tails in CROSSINGS
        for walk in crossing_walks(ends, 1.8, signal, 11, tails)
    ]
    return Layout(
        MOUNT.camera(rng, width, height),
        line=((-8.8, 11.5), (8.8, 11.5)),
        lanes=list(LANES),
        walks=walks + [walk for path in CORNERS for walk in both_ways(Path(path), 10, 1.6)],
        areas=list(GROUND),
        houses=_houses(rng),
        trees=plant(rng, TREES, 4, 6),
        posts=list(POSTS),
    )


def _houses(rng: np.random.Generator) -> list[House]:
    return [
        *terrace(rng, 9.5, 110, 9.5, 12, along_x=True),
        *terrace(rng, 22, 120, 9.5, 12, along_x=False),
        *terrace(rng, 9.5, 120, -9.5, -12, along_x=False),
        *terrace(rng, 9.5, 100, -9.5, -12, along_x=True),
    ]
