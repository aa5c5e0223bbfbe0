"""Crowds, dances and drives for tests of tracking: truth without drawing, cameras that move."""

from stages.sources.street.moving.scene import CAMERAS, PLACES, MovingScene

__all__ = ["CAMERAS", "PLACES", "MovingScene"]
