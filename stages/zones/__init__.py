"""What tracks do in the picture: lines they cross."""

from stages.zones.line import Anchor, Crossing, Direction, LineCounter

__all__ = ["Anchor", "Crossing", "Direction", "LineCounter"]
