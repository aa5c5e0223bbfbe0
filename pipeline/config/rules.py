"""Sections for lines, zones and masks in the picture of a stream; see `docs/zones.md`."""

import re
from collections.abc import Sequence
from datetime import time
from itertools import pairwise
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.config.values import Finite, Identifier, Number, Point, Section, Whole
from stages.zones.anchors import Anchor
from stages.zones.polygon import why_no_polygon
from stages.zones.rules import CONFIRM_FRAMES, HYSTERESIS_PX, Units
from stages.zones.schedule import Day

_CLOCK: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS: Final = re.compile(rf"{_CLOCK}-(?:{_CLOCK}|24:00)")

Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=1000)]
Classes = Annotated[tuple[str, ...], Field(min_length=1)] | None
Duration = Annotated[Number, Field(ge=0, le=604_800)]
Interval = Annotated[Number, Field(ge=1, le=604_800)]


class ScheduleConfig(Section):
    """Days and hours at which a line or zone applies, in the time zone `zone`; hours that end
    before they begin end on the next day. None: every day, all day."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] | None = None
    hours: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    zone: str = "UTC"

    @field_validator("hours")
    @classmethod
    def _check_hours(cls, hours: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in hours or ():
            found = _HOURS.fullmatch(text)
            if not found:
                raise ValueError(f"{text!r} is not of the form 08:00-18:00, at most 24:00")
            if text[:5] == text[6:]:
                raise ValueError(f"{text!r} begins when it ends; all day is 00:00-24:00")
        return hours

    @field_validator("zone")
    @classmethod
    def _check_time_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone, such as Europe/Berlin or UTC") from None
        return zone

    @property
    def spans(self) -> tuple[tuple[time, time | None], ...]:
        """The hours as (begin, end), local time; an end of None is midnight."""
        return tuple(
            (time.fromisoformat(text[:5]), None if text[6:] == "24:00" else _clock(text[6:]))
            for text in self.hours or ("00:00-24:00",)
        )


class RegionSection(Section):
    """The keys that lines, zones and masks have in common. `classes` None: all."""

    units: Units = "px"
    anchor: Anchor = "bottom_centre"
    classes: Classes = None


class LineConfig(RegionSection):
    """A directed counting line: `start` and `end`, or `points`. `in` is a crossing from its left to
    its right side. `when` None: always. `interval_s` None: counts of intervals are not told."""

    name: Identifier
    start: Point | None = None
    end: Point | None = None
    points: Annotated[tuple[Point, ...], Field(min_length=2, max_length=1000)] | None = None
    hysteresis_px: Annotated[Number, Field(ge=0, le=10_000)] = HYSTERESIS_PX
    confirm_frames: Annotated[Whole, Field(ge=1, le=1000)] = CONFIRM_FRAMES
    when: ScheduleConfig | None = None
    interval_s: Interval | None = None

    @field_validator("start", "end")
    @classmethod
    def _check_end_inside(cls, point: Point | None, info: ValidationInfo) -> Point | None:
        if point is not None and info.data.get("units") == "normalised":
            _require_inside([point], "normalised")
        return point

    @field_validator("points")
    @classmethod
    def _check_points(
        cls, points: tuple[Point, ...] | None, info: ValidationInfo
    ) -> tuple[Point, ...] | None:
        if points is not None:
            _require_inside(points, info.data.get("units", "px"))
            for number, (one, other) in enumerate(pairwise(points)):
                if one == other:
                    raise ValueError(f"point {number + 1} and the next are the same, {_said(one)}")
        return points

    @model_validator(mode="after")
    def _check_ends(self) -> Self:
        ends = self.start is not None, self.end is not None
        if (self.points is None and not all(ends)) or (self.points is not None and any(ends)):
            raise ValueError("a line has start and end, or points")
        if self.points is None and self.start == self.end:
            raise ValueError(f"start and end are the same point {self.start}")
        return self

    @property
    def way(self) -> tuple[Point, ...]:
        """The points of the line from start to end, 2 or more, in `units`."""
        if self.points is not None:
            return self.points
        assert self.start is not None
        assert self.end is not None
        return self.start, self.end


class AreaSection(RegionSection):
    """The keys of zones and masks, which have corners."""

    polygon: Polygon

    @field_validator("polygon")
    @classmethod
    def _check_polygon(cls, polygon: tuple[Point, ...], info: ValidationInfo) -> tuple[Point, ...]:
        _require_inside(polygon, info.data.get("units", "px"))
        if (why := why_no_polygon(polygon)) is not None:
            raise ValueError(why)
        return polygon


class StayConfig(Section):
    """An event of a track that has been in a zone for `after_s`, told again every `every_s`
    seconds; None: only its start and its end."""

    after_s: Duration
    every_s: Interval | None = None


class DwellConfig(StayConfig):
    """The event `dwell`: how long each track is in a zone."""

    after_s: Duration = 0.0
    every_s: Interval | None = 10.0


class LoiteringConfig(StayConfig):
    """The event `loitering`: a track that is in a zone for too long."""

    after_s: Duration = 60.0


class StoppedConfig(StayConfig):
    """The event `stopped`: a track that moves no further than `radius` of its box's height."""

    after_s: Duration = 30.0
    radius: Annotated[Number, Field(gt=0, le=10)] = 0.25


class DirectionConfig(StayConfig):
    """The event `direction_violation`: a track that goes another way than from the first point of
    `along` to the second, give or take `tolerance_deg`; judged anew after `step` of its box's
    height."""

    along: tuple[Point, Point]
    after_s: Duration = 1.0
    tolerance_deg: Annotated[Number, Field(gt=0, lt=180)] = 60.0
    step: Annotated[Number, Field(gt=0, le=10)] = 0.5

    @field_validator("along")
    @classmethod
    def _check_direction(cls, along: tuple[Point, Point]) -> tuple[Point, Point]:
        if along[0] == along[1]:
            raise ValueError(f"both points are {_said(along[0])}: they give no direction")
        return along


class OccupancyConfig(Section):
    """The event `occupancy`: the number of tracks in a zone, told once it has held for `hold_s`."""

    hold_s: Duration = 1.0


class LimitConfig(Section):
    """The event `overcrowding`: `count` tracks or more in a zone for `hold_s`, until there are
    `clear` or fewer for as long; None: one less than `count`."""

    count: Annotated[Whole, Field(ge=1, le=100_000)]
    clear: Annotated[Whole, Field(ge=0)] | None = None
    hold_s: Duration = 3.0
    every_s: Interval | None = None

    @model_validator(mode="after")
    def _check_clear_below_count(self) -> Self:
        if self.clear is not None and self.clear >= self.count:
            raise ValueError(f"clear {self.clear} must be less than count {self.count}")
        return self


class ZoneConfig(AreaSection):
    """A polygon, and the events of the tracks in it; an event of None is not told. `when` None:
    always."""

    name: Identifier
    hysteresis_px: Annotated[Number, Field(ge=0, le=10_000)] = HYSTERESIS_PX
    confirm_frames: Annotated[Whole, Field(ge=1, le=1000)] = CONFIRM_FRAMES
    when: ScheduleConfig | None = None
    passages: bool = True
    dwell: DwellConfig | None = None
    loitering: LoiteringConfig | None = None
    stopped: StoppedConfig | None = None
    direction: DirectionConfig | None = None
    occupancy: OccupancyConfig | None = None
    limit: LimitConfig | None = None
    interval_s: Interval | None = None


class MaskConfig(AreaSection):
    """A polygon in which detections are ignored, before tracking."""

    name: Identifier | None = None


def _clock(text: str) -> time:
    return time.fromisoformat(text)


def _said(point: tuple[Finite, Finite]) -> str:
    return f"[{point[0]:g}, {point[1]:g}]"


def _require_inside(points: Sequence[Point], units: Units) -> None:
    """Raise `ValueError` for a point that can be in no picture."""
    for point in points:
        if min(point) < 0 or (units == "normalised" and max(point) > 1):
            area = "0 to 1" if units == "normalised" else "0 on"
            raise ValueError(f"{_said(point)} is outside of the picture, which goes from {area}")
    if units == "px" and all(max(point) <= 1 for point in points):
        why = "no coordinate is above 1 px: shares of the picture need units: normalised"
        raise ValueError(why)
