"""The synthetic street: pictures of traffic with exact truth, for tests, demo and training."""

from stages.sources.street.scene import StreetScene
from stages.sources.street.truth import LABELS, Crossing, Truth, crossings

__all__ = ["LABELS", "Crossing", "StreetScene", "Truth", "crossings"]
