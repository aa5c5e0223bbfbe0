"""From a bridge over a motorway: lorries and coaches among cars, both directions."""

import numpy as np

from stages.sources.street.layout import Area, House, Lane, Layout, Path, Post, Tree
from stages.sources.street.roadway import ASPHALT, GRASS, PAINT, dashes, rectangle
from stages.sources.street.views.mount import Mount

MOUNT = Mount((-3, 3), 0, (6.8, 9), (-6, 6), (11, 17), (48, 60))
FAST_LANE, SLOW_LANES = (0.8, 0.12, 0.03, 0.05), (0.58, 0.1, 0.11, 0.21)
LANES = [
    Lane(Path(way), speed_mps, 4.2, share)
    for x, speed_mps, share in (
        (3.2, 24.0, FAST_LANE),
        (6.9, 20.0, SLOW_LANES),
        (10.6, 16.0, SLOW_LANES),
    )
    for way in (((x, -40), (x, 260)), ((-x, 260), (-x, -40)))
]
GROUND = [
    Area(rectangle(-300, -60, 300, 700), GRASS, 20),
    Area(rectangle(-15.5, -60, 15.5, 700), (126, 124, 120), 14),
    Area(rectangle(-12.8, -60, 12.8, 700), ASPHALT, 13),
    Area(rectangle(-0.9, -60, 0.9, 700), (150, 148, 142), 10),
    *(mark for x in (5.05, -5.05, 8.75, -8.75) for mark in dashes(False, x, 0, 260, 0.18)),
    *(Area(rectangle(x - 0.09, -40, x + 0.09, 500), PAINT, 6) for x in (1.3, -1.3, 12.5, -12.5)),
]
BARRIERS = [House(x - 0.12, -20, x + 0.12, 400, 0.75, plain=True) for x in (0.0, 15.0, -15.0)]
POSTS = [Post(0, y, s * 2.2, 0, 10) for y in (30.0, 70.0, 115.0, 165.0) for s in (-1, 1)]


def layout(rng: np.random.Generator, width: int, height: int) -> Layout:
    return Layout(
        MOUNT.camera(rng, width, height),
        line=((-13.0, 24.0), (13.0, 24.0)),
        lanes=list(LANES),
        areas=list(GROUND),
        houses=list(BARRIERS),
        trees=[
            Tree(side * float(rng.uniform(19, 40)), y, float(rng.uniform(5, 10)))
            for side in (-1, 1)
            for y in np.arange(28.0, 190, 9).tolist()
        ],
        posts=list(POSTS),
    )
