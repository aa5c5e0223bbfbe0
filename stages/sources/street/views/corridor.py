"""A wide passage indoors from under its ceiling: people only."""

import numpy as np

from stages.sources.street.layout import Area, House, Layout, Path
from stages.sources.street.palette import shade
from stages.sources.street.roadway import FLOOR, both_ways, rectangle
from stages.sources.street.solid import Pose
from stages.sources.street.views.mount import Mount


def layout(rng: np.random.Generator, width: int, height: int) -> Layout:
    half_m = float(rng.uniform(2.6, 4.2))
    x = float(rng.uniform(-0.5, 0.5)) * half_m
    camera = Mount(x, 0, (2.6, 3.1), (-8, 8), (14, 22), (62, 76)).camera(rng, width, height)
    return Layout(
        camera,
        indoor=True,
        line=((-half_m + 0.1, 7.0), (half_m - 0.1, 7.0)),
        walks=both_ways(Path(((0, -4), (0, 39.5))), 7.5, 2 * half_m - 2.0),
        areas=_tiles(half_m, float(rng.uniform(0.8, 1.1))),
        houses=[
            House(-half_m - 8, -6, -half_m, 44, 3.3, plain=True),
            House(half_m, -6, half_m + 8, 44, 3.3, plain=True),
            House(-half_m - 8, 40, half_m + 8, 42, 3.3, plain=True),
        ],
        standing=_standing(rng, half_m),
    )


def _tiles(half_m: float, tone: float) -> list[Area]:
    joint = shade((150, 146, 138), tone)
    xs, ys = np.arange(-half_m, half_m, 1.2).tolist(), np.arange(0, 40, 1.2).tolist()
    return [
        Area(rectangle(-30, -6, 30, 60), shade(FLOOR, tone), 7),
        *(Area(rectangle(x, -6, x + 0.03, 40), joint, 4) for x in xs),
        *(Area(rectangle(-half_m, y, half_m, y + 0.03), joint, 4) for y in ys),
    ]


def _standing(rng: np.random.Generator, half_m: float) -> list[Pose]:
    return [
        Pose(float(rng.choice([-1, 1])) * (half_m - 0.5), y, float(rng.uniform(-3, 3)))
        for y in rng.uniform(5, 16, int(rng.integers(0, 4))).tolist()
    ]
