"""Point pairs of one stream, before the size of its pictures is known."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from pipeline.core.arrays import F64
from stages.plane.homography import Homography

Units = Literal["px", "normalised"]
_LEAST_M: Final = 0.5
_MOST_M: Final = 20_000.0
_WORST_RESIDUAL_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Calibration:
    """Point pairs: `picture` (N, 2), in pixels or `normalised` to 0..1 by width and height, and
    `plane` (N, 2) metres. `area` (M, 2), in the same units: outside of it nothing is told."""

    picture: F64
    plane: F64
    units: Units = "px"
    area: F64 | None = None

    def check(self) -> None:
        """Raise `ValueError` for what cannot be, whatever the size of the pictures."""
        extent_m = float(np.ptp(self.plane, axis=0).max())
        if not _LEAST_M <= extent_m <= _MOST_M:
            raise ValueError(
                f"the points span {extent_m:g} m on the ground: give metres, "
                f"from {_LEAST_M:g} to {_MOST_M:g}"
            )
        found = Homography.fit(self.picture, self.plane)
        extent = float(np.ptp(self.picture, axis=0).max())
        if found.residual_px > _WORST_RESIDUAL_SHARE * extent:
            off = np.linalg.norm(found.to_picture(self.plane) - self.picture, axis=1)
            raise ValueError(
                f"the points do not fit a plane: point {int(off.argmax()) + 1} is off by "
                f"{off.max():.3g} of {extent:.3g} in the picture"
            )
        if self.area is not None and not found.in_front(self.area).all():
            worst = int(found.depth(self.area).argmin())
            raise ValueError(
                f"the horizon runs through the area: its corner {worst + 1}, "
                f"{self.area[worst].tolist()}, is beyond it; keep the area on the ground"
            )

    @property
    def mirrored(self) -> bool:
        """True if the plane's x axis is to the left of its y axis, as seen from the camera."""
        middle = self.picture.mean(axis=0, keepdims=True)
        found = Homography.fit(self.picture, self.plane)
        slopes = found.jacobian(middle, found.to_plane(middle))[0]
        return bool(np.linalg.det(slopes) > 0)  # y is down in the picture

    def homography(self, width: int, height: int) -> Homography:
        """The homography from pixels of pictures of this size to metres."""
        return Homography.fit(self._pixels(self.picture, width, height), self.plane)

    def area_px(self, width: int, height: int) -> F64 | None:
        """The area for pictures of this size."""
        return None if self.area is None else self._pixels(self.area, width, height)

    def _pixels(self, points: F64, width: int, height: int) -> F64:
        scaled: F64 = points * (width, height) if self.units == "normalised" else points
        return scaled
