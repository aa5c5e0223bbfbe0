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
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from pipeline.core.clock import ClockSource
from pipeline.core.errors import DownCause

SCHEMA: Final = "eyrie.detections/1.2.0"
_ANY_MINOR: Final = r"^eyrie\.detections/1\.[0-9]+\.[0-9]+$"

DropReason = Literal["overflow", "target_fps", "corrupt", "stopped", "late", "load"]
"""Why a decoded frame was not published: its channel was full, the stream's frame rate was capped
by configuration, it was damaged, the pipeline was aborted, it had waited too long for the engine,
or its stream gave way because the engine does not keep up."""

Condition = Literal["frozen", "black", "blurred", "low_fps", "corrupt", "clock_offset"]
"""What may be wrong with the pictures of a stream that is up."""
CONDITIONS: Final[tuple[Condition, ...]] = get_args(Condition)


TrackState = Literal["tentative", "confirmed", "lost"]
"""Seen too seldom to be sure; sure; not found in this frame."""

TrackEndCause = Literal["lost", "epoch", "end_of_stream"]
"""Why a track is over: not seen for too long, or what it was seen in is over."""

Liveness = Literal["starting", "up", "down", "paused"]
"""What a stream is at a heartbeat."""

Status = Literal["up", "down", "impaired", "cleared", "heartbeat"]
"""What a status message tells of its stream."""

Kind = Literal["frame", "track_end", "event", "stream_status", "end_of_stream"]

Phase = Literal["once", "start", "update", "end"]
"""Of an event: it takes no time, or begins, goes on, is over."""


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _or_newer(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """A value that a later minor version may have added; only `read` lets it pass."""
    try:
        return handler(value)
    except ValidationError:
        if info.context == _TOLERANT and isinstance(value, str):
            return value
        raise


_TOLERANT: Final = {"tolerant": True}
_OPEN: Final = WrapValidator(_or_newer)


Timestamp = Annotated[
    AwareDatetime,
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]  # RFC 3339, UTC, microseconds
Xyxy = tuple[float, float, float, float]
Count = Annotated[int, Field(ge=0)]
TrackId = Annotated[int, Field(ge=1)]
TrackUid = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Drops = dict[Annotated[DropReason, _OPEN], Count]
Schema = Annotated[
    str,
    Field(pattern=_ANY_MINOR),
    WithJsonSchema({"type": "string", "const": SCHEMA}, mode="serialization"),
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Model(_Part):
    """The detector that made the boxes."""

    name: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    precision: Annotated[Literal["int8", "fp16", "fp32"], _OPEN]
    engine: str


class Producer(_Part):
    """Who wrote the message. `run_id` is part of every message id."""

    instance: str
    version: str
    run_id: str
    model: Model


class Detection(_Part):
    """One object in one frame. `box` is [x1, y1, x2, y2] in source pixels. `track_id` is null until
    its track is confirmed, else >= 1 and unique in (stream, run); `track_uid` is unique among all
    streams and runs. `track_age_ms` is media time since the track was first told."""

    label: str
    class_id: Count
    score: Annotated[float, Field(ge=0, le=1)]
    box: Xyxy
    track_id: TrackId | None = None
    track_uid: TrackUid | None = None
    track_state: Annotated[TrackState, _OPEN] | None = None
    track_age_ms: Annotated[float, Field(ge=0)] | None = None


class _Message(_Part):
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


class FrameMessage(_Message):
    """One analysed frame, also when nothing is in it."""

    kind: Literal["frame"] = "frame"
    seq: Count
    pts_ns: int
    captured_at: Timestamp
    captured_source: Annotated[ClockSource, _OPEN]
    captured_uncertainty_ms: Annotated[float, Field(ge=0)]
    arrived_at: Timestamp
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    dropped_since_last: Drops
    detections: list[Detection]


class TrackEndMessage(_Message):
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
    cause: Annotated[TrackEndCause, _OPEN] | None = None


class EventMessage(_Message):
    """Something happened; `event` says what, and each has a model of its own. `event_id` is the
    same in all messages of one event, from its `phase` start to its end."""

    kind: Literal["event"] = "event"
    event: str
    event_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    phase: Annotated[Phase, _OPEN] = "once"


class LineCrossMessage(EventMessage):
    """`track_id` crossed `line` at `point` in `direction`; `crossed_at` is interpolated between two
    frames. `counts` are the line's totals."""

    event: Literal["line_cross"] = "line_cross"
    line: str
    direction: Literal["in", "out"]
    track_id: TrackId
    track_uid: TrackUid | None = None
    label: str
    class_id: Count
    point: tuple[float, float]
    crossed_at: Timestamp
    counts: dict[Literal["in", "out"], Count]


class Heartbeat(_Part):
    """The account of a stream that still runs, as of now: `decoded = published + sum(dropped) +
    waiting`. The next one comes in `interval_s`."""

    number: Annotated[int, Field(ge=1)]
    interval_s: Annotated[float, Field(gt=0)]
    state: Annotated[Liveness, _OPEN]
    conditions: list[Annotated[Condition, _OPEN]]
    decoded: Count
    published: Count
    dropped: Drops
    waiting: Count
    messages: dict[Annotated[Kind, _OPEN], Count]


class StreamStatusMessage(_Message):
    """The stream came up or went down. `attempt` counts failures since it was last up for a while.
    `cause` says what kind of failure or request took it down, null when it is up.

    Or its pictures are no good: `impaired` by `condition`, until it is `cleared`; `metrics` are the
    measurements that say so. Or nothing changed, and this is a `heartbeat`."""

    kind: Literal["stream_status"] = "stream_status"
    status: Annotated[Status, _OPEN]
    reason: str
    attempt: Count
    cause: Annotated[DownCause, _OPEN] | None = None
    condition: Annotated[Condition, _OPEN] | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    heartbeat: Heartbeat | None = None


class EndOfStreamMessage(_Message):
    """The last message of a stream in this run, with its account: `decoded = published +
    sum(dropped)`; `messages` by kind, this one included; detections and tracks by label. `error`
    says why it ended early."""

    kind: Literal["end_of_stream"] = "end_of_stream"
    decoded: Count
    published: Count
    dropped: Drops
    error: str | None = None
    messages: dict[Annotated[Kind, _OPEN], Count] = Field(default_factory=dict)
    detections: dict[str, Count] = Field(default_factory=dict)
    tracks: dict[str, Count] = Field(default_factory=dict)


Event = LineCrossMessage
"""Every event there is; `event` tells them apart."""

Message = FrameMessage | TrackEndMessage | Event | StreamStatusMessage | EndOfStreamMessage
MESSAGE_MODELS: Final[tuple[type[Message], ...]] = get_args(Message)


class OtherMessage(_Message):
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
        return _ADAPTER.validate_json(body, extra="ignore", context=_TOLERANT)
    except ValidationError as error:
        return _other(error, lambda: OtherMessage.model_validate_json(body, extra="ignore"))


def read_record(record: dict[str, Any]) -> Message | OtherMessage:
    """The same from plain values."""
    try:
        return _ADAPTER.validate_python(record, extra="ignore", context=_TOLERANT)
    except ValidationError as error:
        return _other(error, lambda: OtherMessage.model_validate(record, extra="ignore"))


def _other(error: ValidationError, envelope: Callable[[], OtherMessage]) -> OtherMessage:
    """Of a kind or an event that a later version has added; else raises the error."""
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
