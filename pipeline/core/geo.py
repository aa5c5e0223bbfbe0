"""The way from metres on a plane to the globe: WGS 84, longitude and latitude in degrees.

Over some kilometres the ground is a tangent plane: metres a degree come from the two radii of
curvature of the WGS 84 ellipsoid (J. P. Snyder: Map Projections, USGS Professional Paper 1395,
1987, equations 4-18 to 4-20). Ten kilometres from the origin that is off by about ten metres in
middle latitudes, one kilometre from it by a tenth of one.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from pipeline.core.arrays import F64

_EQUATOR_M: Final = 6_378_137.0
_ECCENTRICITY_2: Final = 0.006694379990141316
_NEAREST_POLE_DEG: Final = 85.0


@dataclass(frozen=True, slots=True)
class GeoReference:
    """The place of a plane on the globe: the point (0, 0) of the plane is at `latitude`,
    `longitude`, and its y axis points to `bearing_deg`, clockwise from north. x is to the right of
    y, as seen from above."""

    latitude: float
    longitude: float
    bearing_deg: float = 0.0

    def __post_init__(self) -> None:
        if not abs(self.latitude) <= _NEAREST_POLE_DEG or not abs(self.longitude) <= 180:
            raise ValueError(
                f"latitude {self.latitude}, longitude {self.longitude}: give degrees, latitude "
                f"first, from -{_NEAREST_POLE_DEG:g} to {_NEAREST_POLE_DEG:g} and -180 to 180"
            )
        if not math.isfinite(self.bearing_deg):
            raise ValueError(f"bearing {self.bearing_deg} is no angle")

    @classmethod
    def around(cls, latitude_longitude: F64) -> Self:
        """With its origin in the middle of (N, 2) points, y to the north. The points lie within
        some kilometres."""
        first = latitude_longitude[0, 1]
        turned = (latitude_longitude[:, 1] - first + 180) % 360 - 180
        longitude = (first + turned.mean() + 180) % 360 - 180
        return cls(float(latitude_longitude[:, 0].mean()), float(longitude))

    def to_globe(self, plane: F64) -> F64:
        """Map (N, 2) metres -> (N, 2) longitude and latitude, in this order, as GeoJSON has it."""
        east, north = (plane @ self._turn).T
        by_latitude, by_longitude = self._metres_a_degree
        longitude = self.longitude + east / by_longitude
        longitude = (longitude + 180) % 360 - 180
        return np.column_stack([longitude, self.latitude + north / by_latitude])

    def to_plane(self, latitude_longitude: F64) -> F64:
        """Map (N, 2) latitude and longitude -> (N, 2) metres."""
        by_latitude, by_longitude = self._metres_a_degree
        turned = (latitude_longitude[:, 1] - self.longitude + 180) % 360 - 180
        north = (latitude_longitude[:, 0] - self.latitude) * by_latitude
        found: F64 = np.column_stack([turned * by_longitude, north]) @ self._turn.T
        return found

    @property
    def _turn(self) -> F64:
        """Rows: where x and y point, east and north."""
        angle = math.radians(self.bearing_deg)
        return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    @property
    def _metres_a_degree(self) -> tuple[float, float]:
        """The metres of a degree of latitude, and of longitude."""
        latitude = math.radians(self.latitude)
        rest = 1 - _ECCENTRICITY_2 * math.sin(latitude) ** 2
        meridian_m = _EQUATOR_M * (1 - _ECCENTRICITY_2) / rest**1.5
        normal_m = _EQUATOR_M / math.sqrt(rest)
        return math.radians(meridian_m), math.radians(normal_m * math.cos(latitude))
