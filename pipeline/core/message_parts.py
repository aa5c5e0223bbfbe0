"""What message models of all kinds are made of: the version, kinds of values, the envelope, the
producer, a detection. `pipeline.core.messages` has the contract as a whole."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

SCHEMA: Final = "eyrie.detections/1.4.0"
_ANY_MINOR: Final = r"^eyrie\.detections/1\.[0-9]+\.[0-9]+$"

DropReason = Literal["overflow", "target_fps", "corrupt", "stopped", "late", "load", "at_rest"]
"""Why a decoded frame was not published: its channel was full, the stream's frame rate was capped
by configuration, it was damaged, the pipeline was aborted, it had waited too long for the engine,
its stream gave way because the engine does not keep up, or nothing moved in its pictures."""

Condition = Literal["frozen", "black", "blurred", "low_fps", "corrupt", "clock_offset"]
"""The conditions that may be wrong with the pictures of a stream that is up."""
CONDITIONS: Final[tuple[Condition, ...]] = get_args(Condition)

TrackState = Literal["tentative", "confirmed", "lost"]
"""Seen too seldom to be sure; sure; not found in this frame."""

TrackEndCause = Literal["lost", "epoch", "end_of_stream"]
"""Why a track is over: not seen for too long, or what it was seen in is over."""

Liveness = Literal["starting", "up", "down", "paused"]
"""The state of a stream at a heartbeat: not up yet, up, down, or paused on request."""

Status = Literal["up", "down", "impaired", "cleared", "heartbeat"]
"""The kinds of status that a status message tells of its stream."""

Kind = Literal["frame", "track_end", "event", "stream_status", "end_of_stream"]

Phase = Literal["once", "start", "update", "end"]
"""The phase of an event: it takes no time, or begins, goes on, is over."""

EndCause = Literal["over", "left", "lost", "epoch", "end_of_stream", "schedule", "reconfigured"]
"""Why an event is over: what it tells of is, its object has left the zone, its object's track, the
epoch or the stream is over, or its zone no longer applies at this hour, or as it was configured."""


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _or_newer(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """A value that a later minor version may have added; only `read` lets it pass."""
    try:
        return handler(value)
    except ValidationError:
        if info.context == TOLERANT and isinstance(value, str):
            return value
        raise


TOLERANT: Final = {"tolerant": True}
OPEN: Final = WrapValidator(_or_newer)


Timestamp = Annotated[
    AwareDatetime,
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]  # RFC 3339, UTC, microseconds
Xyxy = tuple[float, float, float, float]
Count = Annotated[int, Field(ge=0)]
TrackId = Annotated[int, Field(ge=1)]
TrackUid = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Drops = dict[Annotated[DropReason, OPEN], Count]
Schema = Annotated[
    str,
    Field(pattern=_ANY_MINOR),
    WithJsonSchema({"type": "string", "const": SCHEMA}, mode="serialization"),
]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Model(Part):
    """The detector that made the boxes."""

    name: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    precision: Annotated[Literal["int8", "fp16", "fp32"], OPEN]
    engine: str


class Producer(Part):
    """Who wrote the message. `run_id` is part of every message id."""

    instance: str
    version: str
    run_id: str
    model: Model


class PlanePoint(Part):
    """Where an object stands and how fast it goes, on the plane of its stream's homography, in
    metres and metres per second. Uncertainties are standard deviations. No speed: too short a way
    so far."""

    position_m: tuple[float, float]
    position_uncertainty_m: Annotated[float, Field(ge=0)]
    speed_m_s: Annotated[float, Field(ge=0)] | None = None
    speed_uncertainty_m_s: Annotated[float, Field(ge=0)] | None = None
    velocity_m_s: tuple[float, float] | None = None


class Detection(Part):
    """One object in one frame. `box` is [x1, y1, x2, y2] in source pixels. `track_id` is null until
    its track is confirmed, else >= 1 and unique in (stream, run); `track_uid` is unique among all
    streams and runs. `track_age_ms` is media time since the track was first told. `plane` is null
    where the stream has no homography."""

    label: str
    class_id: Count
    score: Annotated[float, Field(ge=0, le=1)]
    box: Xyxy
    track_id: TrackId | None = None
    track_uid: TrackUid | None = None
    track_state: Annotated[TrackState, OPEN] | None = None
    track_age_ms: Annotated[float, Field(ge=0)] | None = None
    plane: PlanePoint | None = None


class Envelope(Part):
    schema_: Annotated[Schema, Field(alias="schema")] = SCHEMA
    message_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    stream_id: Annotated[str, Field(min_length=1)]
    epoch: Count
    seq: Annotated[int, Field(ge=-1)]
    """Number of the decoded frame; -1 before the first one."""
    published_at: Timestamp
    producer: Producer

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
    )
