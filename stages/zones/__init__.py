"""Rules about tracks in the picture: lines that they cross, zones that they are in."""

from stages.zones.anchors import Anchor
from stages.zones.happenings import ZoneEvent
from stages.zones.line import Crossing, Direction, LineCounter, LineTotals
from stages.zones.rules import LineRule, MaskRule, Rules, ZoneRule
from stages.zones.site import Site, ZonePicture

__all__ = [
    "Anchor",
    "Crossing",
    "Direction",
    "LineCounter",
    "LineRule",
    "LineTotals",
    "MaskRule",
    "Rules",
    "Site",
    "ZoneEvent",
    "ZonePicture",
    "ZoneRule",
]
