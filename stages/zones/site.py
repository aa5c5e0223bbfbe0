"""The site: the lines, zones and masks in the picture of one stream."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F64, Bool
from pipeline.core.detections import Detections
from pipeline.core.log import get_logger
from pipeline.core.messages import EndCause
from pipeline.core.tracks import Tracks
from stages.zones.happenings import ZoneEvent
from stages.zones.line import LineTotals
from stages.zones.line_watch import LineWatch
from stages.zones.mask import Masks
from stages.zones.rules import Rules, Size, scaled
from stages.zones.sight import Moment
from stages.zones.zone_watch import ZoneWatch

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ZonePicture:
    """A zone as it is to be drawn: `points` (N, 2) pixels, how many are inside, and whether these
    are too many."""

    name: str
    points: F64
    count: int
    crowded: bool


class Site:
    """Lines, zones and masks of one stream. What they ask for is told by `update` and, where it is
    over, by `close`: nothing that was told to have started is left without an end.

    Coordinates become pixels when the size of the pictures is known, and anew when it changes.
    One thread at a time.
    """

    def __init__(
        self, rules: Rules | None = None, totals: Mapping[Hashable, LineTotals] | None = None
    ) -> None:
        self._rules = rules or Rules()
        self._totals_before = totals or {}
        self._size: Size | None = None
        self._masks = Masks((), (1, 1))
        self._lines = LineWatch((), (1, 1))
        self._zones = ZoneWatch((), (1, 1))
        self._before: Moment | None = None

    @property
    def rules(self) -> Rules:
        """The rules of the site."""
        return self._rules

    @property
    def totals(self) -> Mapping[Hashable, LineTotals]:
        """The totals of the lines by `LineRule.drawn`, for another site to go on with."""
        return self._totals_before if self._size is None else self._lines.totals_as_drawn

    @property
    def lines(self) -> list[LineTotals]:
        """The lines and what has crossed them; none before the first frame."""
        return self._lines.totals

    @property
    def zones(self) -> list[ZonePicture]:
        """The zones as they are to be drawn; none before the first frame."""
        if self._size is None or not self._zones.rules:
            return []
        return [
            ZonePicture(
                rule.name,
                np.array(scaled(rule.points, rule.units, self._size), np.float64),
                count,
                self._zones.is_crowded(place),
            )
            for place, (rule, count) in enumerate(
                zip(self._zones.rules, self._zones.counts(), strict=True)
            )
        ]

    def fit(self, size: Size) -> list[ZoneEvent]:
        """Fit the rules to the (width, height) of the next frame's picture -> what ends because it
        is another."""
        if size == self._size:
            return []
        told = self.close("reconfigured") if self._size is not None else []
        totals = self.totals
        self._size = size
        self._masks = Masks(self._rules.masks, size)
        self._lines = LineWatch(self._rules.lines, size, totals)
        self._zones = ZoneWatch(self._rules.zones, size)
        self._warn(size)
        return told

    def keep(self, found: Detections) -> Bool | None:
        """Tell (N,) bool which detections of the next frame, after `fit`, no mask hides; None:
        all."""
        return self._masks.keep(found)

    def update(self, tracks: Tracks, moment: Moment) -> list[ZoneEvent]:
        """The tracks of the next frame, after `fit` -> what has happened. Media time ascends
        until `close`."""
        elapsed_ns = moment.pts_ns - self._before.pts_ns if self._before else 0
        self._before = moment
        told = self._lines.update(tracks, moment, elapsed_ns)
        return told + self._zones.update(tracks, moment, elapsed_ns)

    def close(self, cause: EndCause) -> list[ZoneEvent]:
        """The epoch is over, or the stream: so are all tracks. It may go on after that."""
        self._before = None
        for_good = cause != "epoch"
        told = self._lines.close(for_good=for_good)
        return told + self._zones.close(cause, for_good=for_good)

    def change(self, rules: Rules) -> list[ZoneEvent]:
        """Watch something else from the next frame on -> what is over by that. Lines, zones and
        masks are each only touched if they differ; lines that stay as they are keep their totals.
        """
        old, self._rules = self._rules, rules
        size, told = self._size, list[ZoneEvent]()
        if size is None:
            return told
        if old.masks != rules.masks:
            self._masks = Masks(rules.masks, size)
        if old.lines != rules.lines:
            told += self._lines.close(for_good=True)
            self._lines = LineWatch(rules.lines, size, self._lines.totals_as_drawn)
        if old.zones != rules.zones:
            told += self._zones.close("reconfigured", for_good=True)
            self._zones = ZoneWatch(rules.zones, size)
        self._warn(size)
        return told

    def _warn(self, size: Size) -> None:
        for what, name, point in outside(self._rules, size):
            log.warning(
                "%s %r: the point [%g, %g] is outside of the picture, which has %d x %d pixels",
                what, name, *point, *size,
            )  # fmt: skip


def outside(rules: Rules, size: Size) -> list[tuple[str, str, tuple[float, float]]]:
    """List each line, zone and mask with points outside of a picture of this size: what it is, its
    name, and the first such point, in pixels."""
    width, height = size
    found = []
    for what, some in (("line", rules.lines), ("zone", rules.zones), ("mask", rules.masks)):
        for rule in some:
            points = scaled(rule.points, rule.units, size)
            out = [p for p in points if not (0 <= p[0] <= width and 0 <= p[1] <= height)]
            found += [(what, rule.name, point) for point in out[:1]]
    return found
