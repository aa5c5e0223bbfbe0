"""The lines of one stream: what crosses them, by their rules, and how much in which interval."""

from collections.abc import Hashable, Mapping, Sequence

from pipeline.core.tracks import Tracks
from stages.zones.anchors import Anchors
from stages.zones.classes import ClassFilter
from stages.zones.happenings import ZoneEvent
from stages.zones.line import Crossing, Lines, LineTotals
from stages.zones.rules import LineRule, Size
from stages.zones.schedule import Schedules
from stages.zones.sight import Columns, Moment
from stages.zones.tally import Tallies


class LineWatch:
    """The watch over all lines of one stream, for pictures of one size. `totals` are those of each
    line since the stream's start; those that are given, by `LineRule.drawn`, are gone on with."""

    def __init__(
        self,
        rules: Sequence[LineRule],
        size: Size,
        totals: Mapping[Hashable, LineTotals] | None = None,
    ) -> None:
        specs = [rule.spec(size) for rule in rules]
        kept = totals or {}
        self._rules = rules
        self.totals = [kept.get(rule.drawn) or LineTotals(spec.line)
                       for rule, spec in zip(rules, specs, strict=True)]  # fmt: skip
        for total, spec in zip(self.totals, specs, strict=True):
            total.line = spec.line
        anchors = Anchors([rule.anchor for rule in rules])
        self._columns = Columns(anchors)
        self._lines = Lines(specs, self._columns, anchors.rows.tolist(), size)
        self._classes = ClassFilter([rule.classes for rule in rules])
        self._schedules = Schedules([rule.schedule for rule in rules])
        intervals = [rule.interval_ns for rule in rules]
        self._tallies = Tallies([rule.name for rule in rules], intervals, zones=False)

    @property
    def totals_as_drawn(self) -> dict[Hashable, LineTotals]:
        """The totals by `LineRule.drawn`, for another object to go on with."""
        return {rule.drawn: total for rule, total in zip(self._rules, self.totals, strict=True)}

    def update(self, tracks: Tracks, moment: Moment, elapsed_ns: int) -> list[ZoneEvent]:
        """The next frame of an epoch."""
        told: list[ZoneEvent] = [*self._tallies.turn(moment.captured_ns, elapsed_ns)]
        if not self.totals:
            return told
        self._schedules.look(moment.captured_ns)
        sight, xyxy = self._columns.see(tracks, moment.pts_ns)
        crossed = self._lines.update(sight)
        self._columns.remember(sight, xyxy)
        if len(tracks.ended):
            over = self._columns.columns_of(tracks.ended.tolist())
            crossed += self._lines.end(over)
            self._columns.free(over)
        return told + [crossing for place, crossing in crossed if self._counts(place, crossing)]

    def close(self, *, for_good: bool) -> list[ZoneEvent]:
        """End all tracks, at the end of an epoch or of these lines."""
        self._columns.free(self._columns.live)
        self._lines.reset()
        return [*self._tallies.close()] if for_good else []

    def _counts(self, place: int, crossing: Crossing) -> bool:
        """Whether the line is about it; then it is counted."""
        if not (self._schedules.active[place] and self._classes.takes(place, crossing.class_id)):
            return False
        self.totals[place].add(crossing)
        self._tallies.add(place, crossing.class_id, inward=crossing.direction == "in")
        return True
