"""The rules of one stream's lines, zones and masks, before the picture's size is known."""

from dataclasses import dataclass, field
from typing import Final, Literal

from pipeline.core.geometry import Line
from stages.zones.anchors import Anchor
from stages.zones.line import LineSpec
from stages.zones.polygon import Point
from stages.zones.schedule import Schedule

Units = Literal["px", "normalised"]
Size = tuple[int, int]

HYSTERESIS_PX: Final = 5.0
CONFIRM_FRAMES: Final = 2
"""A single box that jumps over an edge is no crossing."""


def scaled(points: tuple[Point, ...], units: Units, size: Size) -> tuple[Point, ...]:
    """The points in pixels of a picture of this size."""
    if units == "px":
        return points
    width, height = size
    return tuple((x * width, y * height) for x, y in points)


@dataclass(frozen=True, slots=True)
class Shape:
    """Something drawn into the picture, and the objects it is about: those of `classes`, None: all,
    where the `anchor` of their box is."""

    name: str
    points: tuple[Point, ...]
    units: Units = "px"
    anchor: Anchor = "bottom_centre"
    classes: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Border(Shape):
    """A line, or the edge of a zone: what crosses it counts. `interval_ns`: how often its counts
    are told, None: never."""

    hysteresis_px: float = HYSTERESIS_PX
    confirm_frames: int = CONFIRM_FRAMES
    schedule: Schedule | None = None
    interval_ns: int | None = None


@dataclass(frozen=True, slots=True)
class LineRule(Border):
    """A line."""

    @property
    def drawn(self) -> tuple[str, tuple[Point, ...], Units]:
        """The fields that make it the same line, however it counts."""
        return self.name, self.points, self.units

    def spec(self, size: Size) -> LineSpec:
        """The rule for pictures of this size."""
        start, *via, end = scaled(self.points, self.units, size)
        line = Line(self.name, start, end, tuple(via))
        return LineSpec(line, self.anchor, self.hysteresis_px, self.confirm_frames)


@dataclass(frozen=True, slots=True)
class StayRule:
    """Told after `limit_ns`, then every `every_ns`; None: only its start and end."""

    limit_ns: int
    every_ns: int | None = None


@dataclass(frozen=True, slots=True)
class StoppedRule:
    """The rule for tracks that move no further than `radius` of its box's height for the time of
    `stay`."""

    stay: StayRule
    radius: float


@dataclass(frozen=True, slots=True)
class DirectionRule:
    """The way from the first point of `along` to the second is allowed, give or take. A track's way
    is looked at anew after every `step` of its box's height."""

    stay: StayRule
    along: tuple[Point, Point]
    tolerance_deg: float
    step: float


@dataclass(frozen=True, slots=True)
class OccupancyRule:
    """A count is told once it has differed from the last one for `hold_ns`."""

    hold_ns: int


@dataclass(frozen=True, slots=True)
class LimitRule:
    """Overcrowded with `limit` tracks or more for `hold_ns`; over with `clear` or fewer for as
    long. Told again every `every_ns`."""

    limit: int
    clear: int
    hold_ns: int
    every_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ZoneRule(Border):
    """A zone and what is told of it; None: nothing."""

    passages: bool = True
    """True: entering and leaving are told."""
    dwell: StayRule | None = None
    loitering: StayRule | None = None
    stopped: StoppedRule | None = None
    direction: DirectionRule | None = None
    occupancy: OccupancyRule | None = None
    crowd: LimitRule | None = None


@dataclass(frozen=True, slots=True)
class MaskRule(Shape):
    """Detections whose anchor is inside are ignored, before tracking."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one stream."""

    lines: tuple[LineRule, ...] = ()
    zones: tuple[ZoneRule, ...] = ()
    masks: tuple[MaskRule, ...] = field(default=())
