"""What a street is made of before anything moves: paths, signals, ground, houses, trees."""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import atan2, hypot

from stages.sources.street.camera import Camera
from stages.sources.street.palette import Colour
from stages.sources.street.solid import Pose

PERSON, CAR, MOTORCYCLE, BUS, TRUCK = range(5)


@dataclass(frozen=True)
class Path:
    """A line on the ground, by its corners (x, y) in metres."""

    corners: tuple[tuple[float, float], ...]

    @cached_property
    def _legs(self) -> list[tuple[float, float, float, float, float, float]]:
        """Per leg: where it starts along the path, x, y, unit direction, heading."""
        legs, at = [], 0.0
        for (x0, y0), (x1, y1) in pairwise(self.corners):
            span = hypot(x1 - x0, y1 - y0)
            legs.append((at, x0, y0, (x1 - x0) / span, (y1 - y0) / span, atan2(y1 - y0, x1 - x0)))
            at += span
        return legs

    @cached_property
    def length(self) -> float:
        return sum(hypot(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in pairwise(self.corners))

    def pose(self, s: float, aside: float = 0.0) -> Pose:
        """The place `s` metres along and `aside` metres to the left, heading forward."""
        leg = self._legs[0]
        for later in self._legs[1:]:
            if s >= later[0]:
                leg = later
        at, x, y, ux, uy, heading = leg
        part = s - at
        return Pose(x + ux * part - uy * aside, y + uy * part + ux * aside, heading)


@dataclass(frozen=True, slots=True)
class Signal:
    """A traffic light: green from `start_s` to `end_s` of every cycle."""

    cycle_s: float
    start_s: float
    end_s: float

    def green(self, t_s: float) -> bool:
        return self.start_s <= t_s % self.cycle_s < self.end_s


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a path waits for its signal."""

    at_m: float
    signal: Signal


@dataclass(frozen=True, slots=True)
class Lane:
    """A path for vehicles; `share` weighs car, motorcycle, bus, truck."""

    path: Path
    speed_mps: float
    headway_s: float
    share: tuple[float, float, float, float] = (0.66, 0.14, 0.1, 0.1)
    stop: Stop | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """A path for people, `width_m` wide, with about one group every `headway_s`."""

    path: Path
    headway_s: float
    width_m: float = 1.6
    stop: Stop | None = None


@dataclass(frozen=True, slots=True)
class Area:
    """A painted patch of ground; `texture` is its roughness in grey levels."""

    corners: tuple[tuple[float, float], ...]
    colour: Colour
    texture: float = 0.0


@dataclass(frozen=True, slots=True)
class House:
    """A block from (x0, y0) to (x1, y1), `height_m` high; plain walls have no windows."""

    x0: float
    y0: float
    x1: float
    y1: float
    height_m: float
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    x: float
    y: float
    height_m: float


@dataclass(frozen=True, slots=True)
class Post:
    """A street lamp whose arm reaches (dx, dy) over the road."""

    x: float
    y: float
    dx: float
    dy: float
    height_m: float = 6.5


@dataclass
class Layout:
    """One view: its camera and everything in front of it."""

    camera: Camera
    lanes: list[Lane] = field(default_factory=list)
    walks: list[Walk] = field(default_factory=list)
    parked: list[tuple[int, Pose]] = field(default_factory=list)
    standing: list[Pose] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    houses: list[House] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    line: tuple[tuple[float, float], tuple[float, float]] = ((-5.0, 10.0), (5.0, 10.0))
    indoor: bool = False
