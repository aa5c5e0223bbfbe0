"""Regions whose detections are ignored."""

from collections.abc import Sequence

import numpy as np

from pipeline.core.arrays import Bool
from pipeline.core.detections import Detections
from stages.zones.anchors import Anchors
from stages.zones.classes import ClassFilter
from stages.zones.polygon import Polygons
from stages.zones.rules import MaskRule, Size, scaled


class Masks:
    """The masks of one stream, for pictures of one size."""

    def __init__(self, rules: Sequence[MaskRule], size: Size) -> None:
        self._used = bool(rules)
        self._anchors = Anchors([rule.anchor for rule in rules])
        self._classes = ClassFilter([rule.classes for rule in rules])
        self._polygons = Polygons([scaled(rule.points, rule.units, size) for rule in rules])

    def keep(self, found: Detections) -> Bool | None:
        """Tell (N,) bool which detections are not ignored; None: all are kept. What is not finite
        is kept: the tracker says what becomes of it."""
        if not self._used or not len(found):
            return None
        points = self._anchors.points(found.xyxy.astype(np.float64))
        with np.errstate(invalid="ignore"):
            inside = self._polygons.contain(*points[:, self._anchors.rows])
        kept: Bool = ~np.any(inside & self._classes.take(found.class_id), axis=0)
        return None if kept.all() else kept
