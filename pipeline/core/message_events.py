"""The message models of kind `event`: `pipeline.core.messages` has the contract as a whole."""

from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from pipeline.core.message_parts import (
    OPEN,
    Count,
    EndCause,
    Envelope,
    Part,
    Phase,
    Timestamp,
    TrackId,
    TrackUid,
)

InOut = dict[Literal["in", "out"], Count]
Milliseconds = Annotated[float, Field(ge=0)]
Speed = Annotated[float, Field(ge=0)]
Degrees = Annotated[float, Field(ge=0, le=360)]


class Evidence(Part):
    """A picture or clip that is kept of an event: the file `path` in the folder of evidence, or
    `missing`, why there is none. `begins_at` and `ends_at` are the time that a clip is to cover."""

    kind: Annotated[Literal["crop", "frame", "clip"], OPEN]
    path: str | None = None
    missing: str | None = None
    begins_at: Timestamp | None = None
    ends_at: Timestamp | None = None
    size_bytes: Count | None = None


class EventMessage(Envelope):
    """Something happened; `event` says what, and each has a model of its own. `event_id` is the
    same in all messages of one event, from its `phase` start to its end. `captured_at` is that of
    the frame that it is told with, `evidence` what was kept of it."""

    kind: Literal["event"] = "event"
    event: str
    event_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    phase: Annotated[Phase, OPEN] = "once"
    captured_at: Timestamp | None = None
    evidence: list[Evidence] = Field(default_factory=list)


class LineCrossMessage(EventMessage):
    """`track_id` crossed `line` at `point` in `direction`; `crossed_at` is interpolated between two
    frames. `counts` are the line's totals. The speed is null where none is known."""

    event: Literal["line_cross"] = "line_cross"
    line: str
    direction: Literal["in", "out"]
    track_id: TrackId
    track_uid: TrackUid | None = None
    label: str
    class_id: Count
    point: tuple[float, float]
    crossed_at: Timestamp
    counts: InOut
    speed_m_s: Speed | None = None
    speed_uncertainty_m_s: Speed | None = None


class ZoneTrackMessage(EventMessage):
    """What the events of one track in one zone have in common. `point` is the track's anchor: where
    it met the zone's edge, or where it is."""

    zone: str
    track_id: TrackId
    track_uid: TrackUid
    label: str
    class_id: Count
    point: tuple[float, float]
    speed_m_s: Speed | None = None
    speed_uncertainty_m_s: Speed | None = None


class ZoneEnterMessage(ZoneTrackMessage):
    """A track is inside, since `entered_at`: it `crossed` the edge, or `appeared` inside."""

    event: Literal["zone_enter"] = "zone_enter"
    entered_at: Timestamp
    cause: Annotated[Literal["crossed", "appeared"], OPEN]


class ZoneExitMessage(ZoneTrackMessage):
    """A track is no longer inside, since `exited_at`. Follows every `zone_enter`."""

    event: Literal["zone_exit"] = "zone_exit"
    entered_at: Timestamp
    exited_at: Timestamp
    inside_ms: Milliseconds
    cause: Annotated[EndCause, OPEN]


class StayMessage(ZoneTrackMessage):
    """What an event that lasts for a track in a zone tells: how long so far, since `started_at`.
    `cause` of its end, null before."""

    started_at: Timestamp
    duration_ms: Milliseconds
    cause: Annotated[EndCause, OPEN] | None = None


class DwellMessage(StayMessage):
    """A track is in a zone, for as long as it is."""

    event: Literal["dwell"] = "dwell"


class LoiteringMessage(StayMessage):
    """A track has been in a zone for longer than `limit_ms`."""

    event: Literal["loitering"] = "loitering"
    limit_ms: Milliseconds


class StoppedMessage(StayMessage):
    """A track in a zone has not moved for `limit_ms`."""

    event: Literal["stopped"] = "stopped"
    limit_ms: Milliseconds


class DirectionViolationMessage(StayMessage):
    """A track in a zone goes another way than allowed. Degrees are clockwise on the picture, from
    0 to the right; `heading_deg` is how it goes, and the allowed way is `allowed_deg`, give or take
    `tolerance_deg`."""

    event: Literal["direction_violation"] = "direction_violation"
    heading_deg: Degrees
    allowed_deg: Degrees
    tolerance_deg: Degrees


class CrowdMessage(EventMessage):
    """What events of a zone's occupancy have in common: `count` tracks are inside, `by_label`, and
    at most `peak` were since `started_at`. `cause` of its end, null before."""

    zone: str
    count: Count
    by_label: dict[str, Count]
    peak: Count
    started_at: Timestamp
    duration_ms: Milliseconds
    cause: Annotated[EndCause, OPEN] | None = None


class OccupancyMessage(CrowdMessage):
    """A zone is occupied, until it is empty. An update for each change of `count`."""

    event: Literal["occupancy"] = "occupancy"


class OvercrowdingMessage(CrowdMessage):
    """A zone holds `limit` tracks or more."""

    event: Literal["overcrowding"] = "overcrowding"
    limit: Annotated[int, Field(ge=1)]


class IntervalCountsMessage(EventMessage):
    """What crossed a line, or entered (`in`) and left (`out`) a zone, from `from_at` to `to_at`, of
    which frames covered `observed_ms`. Of a zone also the highest occupancy, `peak`. One of `line`
    and `zone` is null."""

    event: Literal["interval_counts"] = "interval_counts"
    line: str | None = None
    zone: str | None = None
    from_at: Timestamp
    to_at: Timestamp
    observed_ms: Milliseconds
    counts: InOut
    by_label: dict[str, InOut]
    peak: Count | None = None


Event = (
    LineCrossMessage
    | ZoneEnterMessage
    | ZoneExitMessage
    | DwellMessage
    | LoiteringMessage
    | StoppedMessage
    | DirectionViolationMessage
    | OccupancyMessage
    | OvercrowdingMessage
    | IntervalCountsMessage
)
"""Every event there is; `event` tells them apart."""
EVENT_MODELS: Final[tuple[type[Event], ...]] = get_args(Event)
