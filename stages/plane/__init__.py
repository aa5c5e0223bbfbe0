"""Tracks on the ground: where they are in metres, and how fast."""

from stages.plane.calibration import Calibration
from stages.plane.homography import Homography
from stages.plane.meter import Motion, SpeedMeter, SpeedParams
from stages.plane.stage import PlaneStage

__all__ = ["Calibration", "Homography", "Motion", "PlaneStage", "SpeedMeter", "SpeedParams"]
