"""What streets are put together from: lane lines, crossings, footways, terraces, trees, parked
rows."""

import numpy as np

from stages.sources.street.layout import (
    CAR,
    MOTORCYCLE,
    Area,
    House,
    Path,
    Signal,
    Stop,
    Tree,
    Walk,
)
from stages.sources.street.palette import Colour
from stages.sources.street.solid import Pose

ASPHALT: Colour = (92, 94, 98)
PAVING: Colour = (172, 166, 156)
KERB: Colour = (196, 194, 188)
GRASS: Colour = (104, 138, 78)
PAINT: Colour = (226, 226, 220)
AMBER: Colour = (226, 180, 60)
FLOOR: Colour = (186, 180, 170)

CITY = (0.58, 0.17, 0.13, 0.12)
"""The shares of car, motorcycle, bus, truck in a lane."""
GO, WALK = Signal(26.0, 0.0, 13.0), Signal(26.0, 15.5, 21.0)
"""The lights of a crossing: of the traffic, and of the people."""
_CLEAR_M = 5


def rectangle(x0: float, y0: float, x1: float, y1: float) -> tuple[tuple[float, float], ...]:
    return ((x0, y0), (x0, y1), (x1, y1), (x1, y0))


def dashes(
    along_x: bool,
    at: float,
    low: float,
    high: float,
    wide: float = 0.14,
    *,
    clear_of: float | None = None,
) -> list[Area]:
    """A broken lane line from `low` to `high`, without the marks near `clear_of`, a crossing."""
    marks = []
    for start in np.arange(low, high, 6.0).tolist():
        if clear_of is not None and abs(start - clear_of) <= _CLEAR_M:
            continue
        end, a, b = start + 2.6, at - wide / 2, at + wide / 2
        corners = rectangle(start, a, end, b) if along_x else rectangle(a, start, b, end)
        marks.append(Area(corners, PAINT, 6))
    return marks


def zebra(x0: float, y0: float, x1: float, y1: float, *, bars_along_x: bool) -> list[Area]:
    """A crossing: bars along the way the cars drive."""
    marks = []
    low, high = (y0, y1) if bars_along_x else (x0, x1)
    for start in np.arange(low + 0.25, high - 0.4, 1.0).tolist():
        bar = (x0, start, x1, start + 0.5) if bars_along_x else (start, y0, start + 0.5, y1)
        marks.append(Area(rectangle(*bar), PAINT, 8))
    return marks


def both_ways(path: Path, headway_s: float, width_m: float, stop: Stop | None = None) -> list[Walk]:
    back = Path(path.corners[::-1])
    turned = None if stop is None else Stop(path.length - stop.at_m, stop.signal)
    return [Walk(path, headway_s, width_m, stop), Walk(back, headway_s, width_m, turned)]


def crossing_walks(
    ends: tuple[tuple[float, float], tuple[float, float]],
    kerb_m: float,
    signal: Signal,
    headway_s: float,
    tails: tuple[tuple[float, float], tuple[float, float]],
) -> list[Walk]:
    """People who come along a pavement, wait at the kerb, cross, and go on; both ways."""
    path = Path((tails[0], ends[0], ends[1], tails[1]))
    lead = float(np.hypot(tails[0][0] - ends[0][0], tails[0][1] - ends[0][1]))
    trail = float(np.hypot(tails[1][0] - ends[1][0], tails[1][1] - ends[1][1]))
    there = Walk(path, headway_s, 1.8, Stop(lead + kerb_m, signal))
    back = Walk(Path(path.corners[::-1]), headway_s, 1.8, Stop(trail + kerb_m, signal))
    return [there, back]


def terrace(
    rng: np.random.Generator, low: float, high: float, front: float, deep: float, *, along_x: bool
) -> list[House]:
    """A row of houses with their fronts on one line, some gaps between."""
    row, at = [], low
    while at < high:
        wide, tall = float(rng.uniform(7, 15)), float(rng.uniform(7, 17))
        a, b = sorted((front, front + deep))
        row.append(
            House(at, a, at + wide, b, tall) if along_x else House(a, at, b, at + wide, tall)
        )
        at += wide + (float(rng.uniform(1.5, 5)) if rng.random() < 0.2 else 0.0)
    return row


def plant(
    rng: np.random.Generator, places: list[tuple[float, float]], low_m: float, high_m: float
) -> list[Tree]:
    """Trees at (x, y), each of a height between the two."""
    return [Tree(x, y, float(rng.uniform(low_m, high_m))) for x, y in places]


def parked_row(
    rng: np.random.Generator,
    low: float,
    high: float,
    at: float,
    heading: float,
    chance: float,
    *,
    along_x: bool,
) -> list[tuple[int, Pose]]:
    """Vehicles along a kerb: mostly cars, sometimes a motorcycle or a small lorry."""
    row = []
    for place in np.arange(low, high, 6.8).tolist():
        if rng.random() > chance:
            continue
        kind = int(rng.choice([CAR, MOTORCYCLE], p=[0.84, 0.16]))
        where = place + float(rng.normal(0, 0.3))
        x, y = (where, at) if along_x else (at, where)
        row.append((kind, Pose(x, y, heading + float(rng.normal(0, 0.02)))))
    return row
