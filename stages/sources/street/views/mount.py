"""Where a camera may hang, and how it may look."""

from dataclasses import dataclass

import numpy as np

from stages.sources.street.camera import Camera

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mount:
    """Ranges from which a camera is drawn: its place in metres, its angles in degrees. A number is
    no range: it is taken as it is."""

    x: float | Range
    y: float | Range
    z: float | Range
    yaw_deg: float | Range
    pitch_deg: float | Range
    hfov_deg: float | Range

    def camera(self, rng: np.random.Generator, width: int, height: int) -> Camera:
        """Draw a camera for pictures of this many pixels."""
        x, y, z, yaw_deg, pitch_deg, hfov_deg = (
            float(rng.uniform(*given)) if isinstance(given, tuple) else given
            for given in (self.x, self.y, self.z, self.yaw_deg, self.pitch_deg, self.hfov_deg)
        )
        return Camera(width, height, (x, y, z), yaw_deg, pitch_deg, hfov_deg)
