"""The event messages of one stream: what happens at its lines and in its zones."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.compose.envelope import Envelopes
from pipeline.core.clock import utc_datetime
from pipeline.core.frame import FrameInfo
from pipeline.core.messages import (
    DirectionViolationMessage,
    DwellMessage,
    Event,
    Evidence,
    IntervalCountsMessage,
    LineCrossMessage,
    LoiteringMessage,
    OccupancyMessage,
    OvercrowdingMessage,
    Phase,
    StoppedMessage,
    ZoneEnterMessage,
    ZoneExitMessage,
)
from pipeline.core.tracks import Tracks
from stages.evidence.base import Refer
from stages.plane import PlaneStage
from stages.zones.happenings import Crowd, Entered, Left, Stay, StayKind, Tally, ZoneEvent
from stages.zones.line import Crossing, Direction, LineTotals
from stages.zones.sight import Moment

_STAYS: Final[Mapping[StayKind, type[Event]]] = {
    "dwell": DwellMessage,
    "loitering": LoiteringMessage,
    "stopped": StoppedMessage,
    "direction_violation": DirectionViolationMessage,
}


def moment_of(info: FrameInfo) -> Moment:
    """The media time and capture time of a frame."""
    return Moment(info.pts_ns, info.captured_ns)


class EventMessages:
    """The maker of one stream's event messages. `refer` is asked for evidence of each event that
    happens or starts, `plane` for the speed of its object."""

    def __init__(
        self, envelopes: Envelopes, refer: Refer | None = None, plane: PlaneStage | None = None
    ) -> None:
        self.refer, self.plane = refer, plane
        self._envelopes = envelopes

    def tell(
        self,
        happenings: Sequence[ZoneEvent],
        info: FrameInfo,
        tracks: Tracks | None,
        lines: Sequence[LineTotals],
    ) -> list[Event]:
        """The messages of what has happened with the frame `info` and its tracks; None: behind the
        frame. `lines` have the counts."""
        if not happenings:
            return []
        counts = {total.line.name: total.counts for total in lines}
        rows = {} if tracks is None else _rows(tracks)
        return [self._tell(happening, info, tracks, rows, counts) for happening in happenings]

    def _tell(
        self,
        happening: ZoneEvent,
        info: FrameInfo,
        tracks: Tracks | None,
        rows: Mapping[int, int],
        counts: Mapping[str, dict[Direction, int]],
    ) -> Event:
        model, event, key, phase, fields = self._fields(happening, info, counts)
        event_id = self._envelopes.event_id(info.epoch, f"{event}:{key}")
        evidence: list[Evidence] = []
        if self.refer is not None and phase in ("once", "start"):
            row = rows.get(getattr(happening, "track_id", 0))
            box = None if row is None or tracks is None else tracks.xyxy[row].tolist()
            evidence = self.refer(event, event_id, info, box)
        sub = f"{event}:{key}" if phase == "once" else f"{event}:{key}:{phase}"
        return model.model_validate(
            {
                **self._envelopes.envelope("event", info.epoch, info.seq, sub),
                "event_id": event_id,
                "phase": phase,
                "captured_at": utc_datetime(info.captured_ns),
                "evidence": evidence,
                **fields,
            }
        )

    def _fields(
        self, told: ZoneEvent, info: FrameInfo, counts: Mapping[str, dict[Direction, int]]
    ) -> tuple[type[Event], str, str, Phase, dict[str, Any]]:
        """The model, the event's name, the key that tells it apart in its epoch, phase, fields."""
        moment = moment_of(info)
        match told:
            case Crossing():
                at_ns = moment.captured_at(told.crossed_ns)
                key = f"{told.line.name}:{told.track_id}:{told.crossed_ns}"
                fields = self._crossing(told, at_ns, counts)
                return LineCrossMessage, "line_cross", key, "once", fields
            case Entered():
                key = f"{told.zone}:{told.track_id}:{told.entered_ns}"
                return ZoneEnterMessage, "zone_enter", key, "once", self._entered(told, moment)
            case Left():
                key = f"{told.zone}:{told.track_id}:{told.entered_ns}"
                return ZoneExitMessage, "zone_exit", key, "once", self._left(told, moment)
            case Stay():
                key = f"{told.zone}:{told.track_id}:{told.started_ns}"
                return _STAYS[told.kind], told.kind, key, told.phase, self._stay(told, moment)
            case Crowd():
                key = f"{told.zone}:{told.started_ns}"
                crowd = OccupancyMessage if told.kind == "occupancy" else OvercrowdingMessage
                return crowd, told.kind, key, told.phase, self._crowd(told, moment)
            case Tally():
                what = "zone" if told.is_zone else "line"
                # by no clock: a file that is played again gives the same ids
                key = f"{what}:{told.name}:{told.number}:{info.seq}"
                return IntervalCountsMessage, "interval_counts", key, "once", self._tally(told)

    def _object(self, told: Crossing | Entered | Left | Stay) -> dict[str, Any]:
        place = self.plane.at(told.track_id) if self.plane is not None else None
        return {
            "speed_m_s": place.speed_m_s if place else None,
            "speed_uncertainty_m_s": place.speed_uncertainty_m_s if place else None,
            "track_id": told.track_id,
            "track_uid": self._envelopes.uid(told.track_id),
            "label": self._envelopes.labels[told.class_id],
            "class_id": told.class_id,
            "point": told.point,
        }

    def _crossing(
        self, told: Crossing, at_ns: int, counts: Mapping[str, dict[Direction, int]]
    ) -> dict[str, Any]:
        return {
            **self._object(told),
            "line": told.line.name,
            "direction": told.direction,
            "crossed_at": utc_datetime(at_ns),
            "counts": counts[told.line.name],
        }

    def _entered(self, told: Entered, moment: Moment) -> dict[str, Any]:
        entered_at = utc_datetime(moment.captured_at(told.entered_ns))
        return {
            **self._object(told),
            "zone": told.zone,
            "entered_at": entered_at,
            "cause": told.cause,
        }

    def _left(self, told: Left, moment: Moment) -> dict[str, Any]:
        return {
            **self._object(told),
            "zone": told.zone,
            "entered_at": utc_datetime(moment.captured_at(told.entered_ns)),
            "exited_at": utc_datetime(moment.captured_at(told.exited_ns)),
            "inside_ms": (told.exited_ns - told.entered_ns) / 1e6,
            "cause": told.cause,
        }

    def _stay(self, told: Stay, moment: Moment) -> dict[str, Any]:
        fields = {**self._object(told), "zone": told.zone, **_lasting(told, moment)}
        if told.kind in ("loitering", "stopped"):
            fields["limit_ms"] = told.limit_ns / 1e6
        if told.way is not None:
            fields["heading_deg"] = round(told.way.heading_deg, 1)
            fields["allowed_deg"] = round(told.way.allowed_deg, 1)
            fields["tolerance_deg"] = told.way.tolerance_deg
        return fields

    def _crowd(self, told: Crowd, moment: Moment) -> dict[str, Any]:
        fields = {
            "zone": told.zone,
            "count": told.count,
            "by_label": {self._envelopes.labels[c]: n for c, n in sorted(told.by_class.items())},
            "peak": told.peak,
            **_lasting(told, moment),
        }
        return fields if told.limit is None else fields | {"limit": told.limit}

    def _tally(self, told: Tally) -> dict[str, Any]:
        ins, outs = (sum(pair[way] for pair in told.by_class.values()) for way in (0, 1))
        labels = self._envelopes.labels
        return {
            "zone" if told.is_zone else "line": told.name,
            "from_at": utc_datetime(told.from_ns),
            "to_at": utc_datetime(told.to_ns),
            "observed_ms": told.observed_ns / 1e6,
            "counts": {"in": ins, "out": outs},
            "by_label": {
                labels[c]: {"in": pair[0], "out": pair[1]}
                for c, pair in sorted(told.by_class.items())
            },
            "peak": told.peak,
        }


def _lasting(told: Stay | Crowd, moment: Moment) -> dict[str, Any]:
    return {
        "started_at": utc_datetime(moment.captured_at(told.started_ns)),
        "duration_ms": (told.now_ns - told.started_ns) / 1e6,
        "cause": told.cause,
    }


def _rows(tracks: Tracks) -> dict[int, int]:
    """The rows of the tracks that are seen, by track id."""
    seen = tracks.detection_index >= 0
    return {
        track_id: row
        for row, (track_id, is_seen) in enumerate(
            zip(tracks.track_id.tolist(), seen.tolist(), strict=True)
        )
        if is_seen
    }
