"""Message contract `eyrie.detections/1`: what consumers of the detection topics read.

These models are the truth; `json_schema()` publishes them as JSON Schema. Frame
messages of one stream are written in order of `seq`; other kinds come between them as they happen,
see `docs/messages.md`. A consumer proves that it missed nothing with `seq`: between two frame
messages of a stream, the gap in `seq` equals the sum of `dropped_since_last` of the later one.

Within a major version messages only gain: fields, kinds, events, and values of strings that are
enumerated. What was written by any 1.x is accepted by `decode`; `read` takes what a later one adds.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from pipeline.core.clock import ClockSource
from pipeline.core.errors import DownCause
from pipeline.core.message_events import (
    EVENT_MODELS,
    CrowdMessage,
    DirectionViolationMessage,
    DwellMessage,
    Event,
    EventMessage,
    Evidence,
    IntervalCountsMessage,
    LineCrossMessage,
    LoiteringMessage,
    OccupancyMessage,
    OvercrowdingMessage,
    StayMessage,
    StoppedMessage,
    ZoneEnterMessage,
    ZoneExitMessage,
    ZoneTrackMessage,
)
from pipeline.core.message_parts import (
    CONDITIONS,
    OPEN,
    SCHEMA,
    TOLERANT,
    Condition,
    Count,
    Detection,
    DropReason,
    Drops,
    EndCause,
    Envelope,
    Kind,
    Liveness,
    Model,
    Part,
    Phase,
    PlanePoint,
    Producer,
    Status,
    Timestamp,
    TrackEndCause,
    TrackId,
    TrackState,
    TrackUid,
)

__all__ = [
    "CONDITIONS",
    "MESSAGE_MODELS",
    "SCHEMA",
    "Condition",
    "CrowdMessage",
    "Detection",
    "DirectionViolationMessage",
    "DropReason",
    "DwellMessage",
    "EndCause",
    "EndOfStreamMessage",
    "Event",
    "EventMessage",
    "Evidence",
    "FrameMessage",
    "Heartbeat",
    "IntervalCountsMessage",
    "Kind",
    "LineCrossMessage",
    "Liveness",
    "LoiteringMessage",
    "Message",
    "Model",
    "OccupancyMessage",
    "OtherMessage",
    "OvercrowdingMessage",
    "Phase",
    "PlanePoint",
    "Producer",
    "Status",
    "StayMessage",
    "StoppedMessage",
    "StreamStatusMessage",
    "TrackEndCause",
    "TrackEndMessage",
    "TrackState",
    "ZoneEnterMessage",
    "ZoneExitMessage",
    "ZoneTrackMessage",
    "decode",
    "decode_record",
    "encode",
    "json_schema",
    "message_id",
    "read",
    "read_record",
    "track_uid",
]


class FrameMessage(Envelope):
    """One analysed frame, also when nothing is in it."""

    kind: Literal["frame"] = "frame"
    seq: Count
    pts_ns: int
    captured_at: Timestamp
    captured_source: Annotated[ClockSource, OPEN]
    captured_uncertainty_ms: Annotated[float, Field(ge=0)]
    arrived_at: Timestamp
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    dropped_since_last: Drops
    detections: list[Detection]


class TrackEndMessage(Envelope):
    """A track is over; its id never returns. `first_seq` and `last_seq` are the first and the last
    of the `frames` that told it, `age_ms` the media time between them. `cause`: it was lost from
    sight, its epoch is over, or its stream."""

    kind: Literal["track_end"] = "track_end"
    track_id: TrackId
    label: str
    class_id: Count
    first_seq: Count
    last_seq: Count
    captured_at: Timestamp
    track_uid: TrackUid | None = None
    first_captured_at: Timestamp | None = None
    frames: Annotated[int, Field(ge=1)] | None = None
    age_ms: Annotated[float, Field(ge=0)] | None = None
    cause: Annotated[TrackEndCause, OPEN] | None = None


class Heartbeat(Part):
    """The account of a stream that still runs, as of now: `decoded = published + sum(dropped) +
    waiting`. The next one comes in `interval_s`."""

    number: Annotated[int, Field(ge=1)]
    interval_s: Annotated[float, Field(gt=0)]
    state: Annotated[Liveness, OPEN]
    conditions: list[Annotated[Condition, OPEN]]
    decoded: Count
    published: Count
    dropped: Drops
    waiting: Count
    messages: dict[Annotated[Kind, OPEN], Count]


class StreamStatusMessage(Envelope):
    """The stream came up or went down. `attempt` counts failures since it was last up for a while.
    `cause` says what kind of failure or request took it down, null when it is up.

    Or its pictures are no good: `impaired` by `condition`, until it is `cleared`; `metrics` are the
    measurements that say so. Or nothing changed, and this is a `heartbeat`."""

    kind: Literal["stream_status"] = "stream_status"
    status: Annotated[Status, OPEN]
    reason: str
    attempt: Count
    cause: Annotated[DownCause, OPEN] | None = None
    condition: Annotated[Condition, OPEN] | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    heartbeat: Heartbeat | None = None


class EndOfStreamMessage(Envelope):
    """The last message of a stream in this run, with its account: `decoded = published +
    sum(dropped)`; `messages` by kind, this one included; detections and tracks by label. `error`
    says why it ended early."""

    kind: Literal["end_of_stream"] = "end_of_stream"
    decoded: Count
    published: Count
    dropped: Drops
    error: str | None = None
    messages: dict[Annotated[Kind, OPEN], Count] = Field(default_factory=dict)
    detections: dict[str, Count] = Field(default_factory=dict)
    tracks: dict[str, Count] = Field(default_factory=dict)


Message = (
    FrameMessage
    | TrackEndMessage
    | Annotated[Event, Field(discriminator="event")]
    | StreamStatusMessage
    | EndOfStreamMessage
)
MESSAGE_MODELS: Final[tuple[type[Message], ...]] = (
    FrameMessage,
    TrackEndMessage,
    *EVENT_MODELS,
    StreamStatusMessage,
    EndOfStreamMessage,
)


class OtherMessage(Envelope):
    """What every message carries, of one whose `kind` or `event` this version does not know."""

    kind: str


_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def message_id(run_id: str, stream_id: str, epoch: int, seq: int, kind: str, sub: str = "") -> str:
    """Deterministic id, 32 hex digits: a retry or a re-run with the same `run_id` gives the same
    one, so consumers remove duplicates by it. BLAKE2b (RFC 7693) over the parts, 16 bytes."""
    parts = "\x1f".join((run_id, stream_id, str(epoch), str(seq), kind, sub))
    return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()


def track_uid(run_id: str, stream_id: str, track_id: int) -> str:
    """16 hex digits for one track of one run, made as `message_id` is."""
    return message_id(run_id, stream_id, 0, track_id, "track")[:16]


def encode(message: Message) -> bytes:
    """One message as UTF-8 JSON without a line break."""
    return message.model_dump_json(by_alias=True).encode()


def decode(body: bytes | str) -> Message:
    """Read a message back that this version or an older 1.x has written. Raises
    `pydantic.ValidationError` on anything off the contract."""
    return _ADAPTER.validate_json(body)


def decode_record(record: dict[str, Any]) -> Message:
    """The same from plain values, as a parser of any form gives them."""
    return _ADAPTER.validate_python(record)


def read(body: bytes | str) -> Message | OtherMessage:
    """Read a message for a consumer that is to outlive updates of the producer: what later 1.x
    versions add is left out, or let pass where it is a value of an enumerated string. Raises
    `pydantic.ValidationError` on anything else off the contract."""
    try:
        return _ADAPTER.validate_json(body, extra="ignore", context=TOLERANT)
    except ValidationError as error:
        return _other(error, lambda: OtherMessage.model_validate_json(body, extra="ignore"))


def read_record(record: dict[str, Any]) -> Message | OtherMessage:
    """The same from plain values."""
    try:
        return _ADAPTER.validate_python(record, extra="ignore", context=TOLERANT)
    except ValidationError as error:
        return _other(error, lambda: OtherMessage.model_validate(record, extra="ignore"))


def _other(error: ValidationError, envelope: Callable[[], OtherMessage]) -> OtherMessage:
    """Read a message of a kind or an event that a later version has added; else raise the error."""
    # where pydantic says so: () and the name of what tells models apart
    if any(found["loc"][-1:] in ((), ("kind",), ("event",)) for found in error.errors()):
        other = envelope()
        if _minor(other.schema_) > _minor(SCHEMA):
            return other
    raise error


def _minor(schema: str) -> int:
    return int(re.findall("[0-9]+", schema)[1])


def json_schema(mode: Literal["serialization", "validation"] = "serialization") -> dict[str, Any]:
    """JSON Schema (2020-12) of every message, discriminated by `kind`: of what is written, or of
    what `decode` accepts."""
    schema = _ADAPTER.json_schema(by_alias=True, mode=mode)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:eyrie:{SCHEMA}",
        "title": SCHEMA,
        **schema,
    }
