"""Identities for detections: a ByteTrack-class tracker whose tracks live in parallel arrays."""

from stages.tracking.params import TrackerParams
from stages.tracking.tracker import Tracker

__all__ = ["Tracker", "TrackerParams"]
