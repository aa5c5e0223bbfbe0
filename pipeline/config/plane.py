"""Sections for the ground plane of a stream: point pairs, accuracy, place on the globe."""

from typing import Annotated, Final, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from pipeline.config.values import Finite, Number, Point, Seconds, Section
from pipeline.core.geo import GeoReference
from stages.plane.calibration import Calibration, Units
from stages.plane.homography import LEAST_POINTS
from stages.plane.meter import SpeedParams

_MOST_POINTS: Final = 100
_Share = Annotated[Number, Field(gt=0, le=0.5)]
_Degrees = Annotated[Number, Field(ge=-180, le=360)]
_Latitude = Annotated[Number, Field(ge=-85, le=85)]
_Longitude = Annotated[Number, Field(ge=-180, le=180)]


class PlanePointConfig(Section):
    """One point of the ground: its place in the picture, and in the world in metres (`m`) or
    degrees (`lat_lon`)."""

    picture: Point
    m: Point | None = None
    lat_lon: tuple[_Latitude, _Longitude] | None = None

    @model_validator(mode="after")
    def _check_one_position(self) -> Self:
        if (self.m is None) == (self.lat_lon is None):
            raise ValueError("give m, metres on the ground, or lat_lon, degrees: one of them")
        return self


class GeoConfig(Section):
    """The place on the globe of the ground's point (0, 0): latitude and longitude, and the bearing
    of its y axis, in degrees."""

    origin: tuple[_Latitude, _Longitude]
    bearing_deg: _Degrees = 0.0


class PlaneConfig(Section):
    """The ground plane of a stream, see `docs/plane.md`; the keys from `jitter` on are those of
    `stages.plane.SpeedParams`."""

    points: Annotated[tuple[PlanePointConfig, ...], Field(max_length=_MOST_POINTS)]
    units: Units = "px"
    area: Annotated[tuple[Point, ...], Field(min_length=3)] | None = None
    geo: GeoConfig | None = None
    jitter: _Share = SpeedParams.jitter
    jitter_side: _Share = SpeedParams.jitter_side
    jitter_floor: _Share = SpeedParams.jitter_floor
    jitter_s: Seconds = SpeedParams.jitter_s
    acceleration_m_s2: Annotated[Number, Field(gt=0, le=50)] = SpeedParams.acceleration_m_s2
    acceleration_by_speed: Annotated[Number, Field(ge=0, le=2)] = SpeedParams.acceleration_by_speed
    history_s: Seconds = SpeedParams.history_s
    gap_s: Seconds = SpeedParams.gap_s
    worst_m: Annotated[Finite, Field(gt=0)] = SpeedParams.worst_m

    @field_validator("points")
    @classmethod
    def _check_points(cls, points: tuple[PlanePointConfig, ...]) -> tuple[PlanePointConfig, ...]:
        if len(points) < LEAST_POINTS:
            raise ValueError(f"{len(points)} points: a plane needs {LEAST_POINTS} at least")
        kinds = {point.m is None for point in points}
        if len(kinds) > 1:
            raise ValueError("all points have m, or all have lat_lon")
        return points

    @model_validator(mode="after")
    def _check_plane(self) -> Self:
        if self.geo is not None and self.points[0].lat_lon is not None:
            raise ValueError("geo is for points in metres: lat_lon says where they are")
        if self.units == "normalised":
            given = [p.picture for p in self.points] + list(self.area or ())
            if not all(0 <= x <= 1 and 0 <= y <= 1 for x, y in given):
                raise ValueError("normalised points of the picture are from 0 to 1")
        calibration = self.calibration
        calibration.check()
        if self.geo_reference is not None and calibration.mirrored:
            raise ValueError(
                "the points are mirrored: seen from above, x has to be to the right of y. Exchange "
                "x and y, or latitude and longitude"
            )
        return self

    @property
    def geo_reference(self) -> GeoReference | None:
        """The place of the plane on the globe; None: not known."""
        if self.geo is not None:
            return GeoReference(*self.geo.origin, self.geo.bearing_deg)
        given = [point.lat_lon for point in self.points if point.lat_lon is not None]
        return GeoReference.around(np.array(given)) if given else None

    @property
    def calibration(self) -> Calibration:
        """The point pairs as arrays; degrees become metres around their middle."""
        picture = np.array([point.picture for point in self.points], np.float64)
        if self.points[0].lat_lon is not None:
            reference = self.geo_reference
            assert reference is not None
            plane = reference.to_plane(np.array([point.lat_lon for point in self.points]))
        else:
            plane = np.array([point.m for point in self.points], np.float64)
        area = None if self.area is None else np.array(self.area, np.float64)
        return Calibration(picture, plane, self.units, area)

    @property
    def params(self) -> SpeedParams:
        """The parameters of speeds: how boxes jitter, how objects accelerate."""
        return SpeedParams(**self.model_dump(exclude={"points", "units", "area", "geo"}))
