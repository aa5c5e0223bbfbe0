"""The zones of one stream: what their rules ask for, frame by frame."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from pipeline.core.messages import EndCause
from pipeline.core.tracks import Tracks
from stages.zones.anchors import Anchors
from stages.zones.crowd import Crowds
from stages.zones.happenings import Entered, Left, Stay, StayKind, ZoneEvent
from stages.zones.lasting import Lasting, Told
from stages.zones.movement import Headings, Insiders, Stopped
from stages.zones.presence import Passage, Presence
from stages.zones.rules import Size, ZoneRule
from stages.zones.schedule import Schedules
from stages.zones.sight import Columns, Moment, Sight
from stages.zones.tally import Tallies

_MOVING: Final[tuple[StayKind, ...]] = ("stopped", "direction_violation")


class ZoneWatch:
    """The watch over all zones of one stream, for pictures of one size."""

    def __init__(self, rules: Sequence[ZoneRule], size: Size) -> None:
        self.rules = rules
        anchors = Anchors([rule.anchor for rule in rules])
        self._rows = anchors.rows
        columns = self._columns = Columns(anchors)
        self._presence = Presence(rules, size, columns, anchors.rows)
        self._stopped = Stopped(rules, columns)
        self._headings = Headings(rules, size, columns)
        kinds: dict[StayKind, Lasting] = {
            "dwell": Lasting([rule.dwell for rule in rules], columns),
            "loitering": Lasting([rule.loitering for rule in rules], columns),
            "stopped": self._stopped.lasting,
            "direction_violation": self._headings.lasting,
        }
        self._lasting = {kind: lasting for kind, lasting in kinds.items() if lasting.is_asked}
        self._crowds = Crowds(rules, columns, self._presence)
        self._schedules = Schedules([rule.schedule for rule in rules])
        intervals = [rule.interval_ns for rule in rules]
        self._tallies = Tallies([rule.name for rule in rules], intervals, zones=True)
        self._entered_or_left: set[int] = set()
        """Zones of the passages of this frame."""
        self._last_ns = 0

    def counts(self) -> list[int]:
        """The number of tracks inside each zone."""
        counts: list[int] = self._presence.counts.tolist()
        return counts

    def is_crowded(self, place: int) -> bool:
        """True if a zone is overcrowded."""
        return self._crowds.is_over(place)

    def update(self, tracks: Tracks, moment: Moment, elapsed_ns: int) -> list[ZoneEvent]:
        """The next frame of an epoch."""
        if not self.rules:
            return []
        self._last_ns = moment.pts_ns
        self._entered_or_left.clear()
        counts = self._presence.counts
        told: list[ZoneEvent] = [*self._tallies.turn(moment.captured_ns, elapsed_ns, counts)]
        told += self._turn_schedules(moment)
        sight, xyxy = self._columns.see(tracks, moment.pts_ns)
        passages = self._presence.update(sight, self._schedules.active)
        moves = self._moves(sight)
        self._columns.remember(sight, xyxy)
        told += self._pass(passages)
        told += [self._stay(kind, one) for kind, some in moves.items() for one in some]
        told += self._end(tracks.ended.tolist(), "lost")
        for kind, lasting in self._lasting.items():
            told += [self._stay(kind, one) for one in lasting.tick(moment.pts_ns)]
        return told + self._crowds.update(self._entered_or_left, moment.pts_ns)

    def close(self, cause: EndCause, *, for_good: bool) -> list[ZoneEvent]:
        """End all tracks, at the end of an epoch or of these zones."""
        told = self._end(None, cause)
        told += self._crowds.close(range(len(self.rules)), self._last_ns, cause)
        return [*told, *self._tallies.close()] if for_good else told

    def _turn_schedules(self, moment: Moment) -> list[ZoneEvent]:
        told: list[ZoneEvent] = []
        for place in self._schedules.look(moment.captured_ns):
            if self._schedules.active[place]:
                self._presence.forget_ways(place)
                continue
            told += self._pass(self._presence.empty(place, "schedule"))
            told += self._crowds.close([place], moment.pts_ns, "schedule")
        return told

    def _moves(self, sight: Sight) -> dict[StayKind, list[Told]]:
        """What is over because a track moves again, or goes the right way."""
        if not any(kind in self._lasting for kind in _MOVING):
            return {}
        insiders = Insiders.of(sight, self._presence.inside_of(sight.columns), self._rows)
        return {
            "stopped": self._stopped.update(insiders),
            "direction_violation": self._headings.update(insiders),
        }

    def _end(self, track_ids: Sequence[int] | None, cause: EndCause) -> list[ZoneEvent]:
        """Tracks are over, None: all."""
        live = self._columns.live if track_ids is None else self._columns.columns_of(track_ids)
        if not live:
            return []
        told = self._pass(self._presence.leave(live, cause))
        self._columns.free(live)
        return told

    def _pass(self, passages: Iterable[Passage]) -> list[ZoneEvent]:
        """What follows from tracks that enter and leave."""
        told: list[ZoneEvent] = []
        for passage in passages:
            place, column = passage.place, passage.column
            self._entered_or_left.add(place)
            rule, track_id = self.rules[place], int(self._columns.track_id.now[column])
            class_id = int(self._columns.class_id.now[column])
            self._tallies.add(place, class_id, inward=passage.cause is None)
            if rule.passages:
                told.append(_told(passage, rule.name, track_id, class_id))
            if passage.cause is not None:
                self._stopped.movement.leave(place, column)
                self._headings.movement.leave(place, column)
            for kind, lasting in self._lasting.items():
                if passage.cause is not None:
                    over = lasting.stop(place, column, passage.at_ns, passage.cause)
                    told += [self._stay(kind, one) for one in over]
                elif kind not in _MOVING:
                    lasting.begin(place, column, passage.at_ns)
        return told

    def _stay(self, kind: StayKind, told: Told) -> Stay:
        place, column = told.place, told.column
        return Stay(
            self.rules[place].name,
            int(self._columns.track_id.now[column]),
            int(self._columns.class_id.now[column]),
            self._columns.point(int(self._rows[place]), column),
            kind,
            told.phase,
            told.since_ns,
            told.now_ns,
            int(self._lasting[kind].limits_ns[place]),
            told.cause,
            self._headings.way(place, column) if kind == "direction_violation" else None,
        )


def _told(passage: Passage, zone: str, track_id: int, class_id: int) -> Entered | Left:
    point, at_ns = passage.point, passage.at_ns
    if passage.cause is None:
        how: Literal["crossed", "appeared"] = "crossed" if passage.crossed else "appeared"
        return Entered(zone, track_id, class_id, point, at_ns, how)
    return Left(zone, track_id, class_id, point, passage.since_ns, at_ns, passage.cause)
