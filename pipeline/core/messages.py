"""Message contract `eyrie.detections/1`: what consumers of the detection topics read.

These models are the truth; `json_schema()` publishes them as JSON Schema. Frame
messages of one stream are written in order of `seq`; other kinds come between them as they happen,
see `docs/messages.md`. A consumer proves that it missed nothing with `seq`: between two frame
messages of a stream, the gap in `seq` equals the sum of `dropped_since_last` of the later one.
"""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
)

from pipeline.core.clock import ClockSource
from pipeline.core.errors import DownCause

SCHEMA: Literal["eyrie.detections/1.1.0"] = "eyrie.detections/1.1.0"

DropReason = Literal["overflow", "target_fps", "corrupt", "stopped", "late", "load"]
"""Why a decoded frame was not published: its channel was full, the stream's frame rate was capped
by configuration, it was damaged, the pipeline was aborted, it had waited too long for the engine,
or its stream gave way because the engine does not keep up."""

Condition = Literal["frozen", "black", "blurred", "low_fps", "corrupt", "clock_offset"]
"""What may be wrong with the pictures of a stream that is up."""
CONDITIONS: Final[tuple[Condition, ...]] = get_args(Condition)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    AwareDatetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")
]  # RFC 3339, UTC, microseconds
Xyxy = tuple[float, float, float, float]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Model(_Part):
    """The detector that made the boxes."""

    name: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    precision: Literal["int8", "fp16", "fp32"]
    engine: str


class Producer(_Part):
    """Who wrote the message. `run_id` is part of every message id."""

    instance: str
    version: str
    run_id: str
    model: Model


class Detection(_Part):
    """One object in one frame. `box` is [x1, y1, x2, y2] in source pixels. `track_id` is null until
    its track is confirmed, else >= 1 and unique in (stream, epoch)."""

    label: str
    class_id: Count
    score: Annotated[float, Field(ge=0, le=1)]
    box: Xyxy
    track_id: Annotated[int, Field(ge=1)] | None = None


class _Message(_Part):
    schema_: Annotated[Literal["eyrie.detections/1.1.0"], Field(alias="schema")] = SCHEMA
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
    captured_source: ClockSource
    captured_uncertainty_ms: Annotated[float, Field(ge=0)]
    arrived_at: Timestamp
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    dropped_since_last: dict[DropReason, Count]
    detections: list[Detection]


class TrackEndMessage(_Message):
    """A track is over; its id never returns. `first_seq` and `last_seq` are the first and the last
    frame with a matched detection."""

    kind: Literal["track_end"] = "track_end"
    track_id: Annotated[int, Field(ge=1)]
    label: str
    class_id: Count
    first_seq: Count
    last_seq: Count
    captured_at: Timestamp


class EventMessage(_Message):
    """Something happened. `event` is `line_cross`: `track_id` crossed `line` at `point` in
    `direction`; `crossed_at` is interpolated between two frames. `counts` are the line's totals."""

    kind: Literal["event"] = "event"
    event: Literal["line_cross"] = "line_cross"
    event_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    line: str
    direction: Literal["in", "out"]
    track_id: Annotated[int, Field(ge=1)]
    label: str
    class_id: Count
    point: tuple[float, float]
    crossed_at: Timestamp
    counts: dict[Literal["in", "out"], Count]


class StreamStatusMessage(_Message):
    """The stream came up or went down. `attempt` counts failures since it was last up for a while.
    `cause` says what kind of failure or request took it down, null when it is up.

    Or its pictures are no good: `impaired` by `condition`, until it is `cleared`; `metrics` are the
    measurements that say so."""

    kind: Literal["stream_status"] = "stream_status"
    status: Literal["up", "down", "impaired", "cleared"]
    reason: str
    attempt: Count
    cause: DownCause | None = None
    condition: Condition | None = None
    metrics: dict[str, float] = Field(default_factory=dict)


class EndOfStreamMessage(_Message):
    """The last message of a stream in this run, with its account:
    `decoded = published + sum(dropped)`. `error` says why it ended early."""

    kind: Literal["end_of_stream"] = "end_of_stream"
    decoded: Count
    published: Count
    dropped: dict[DropReason, Count]
    error: str | None = None


Message = FrameMessage | TrackEndMessage | EventMessage | StreamStatusMessage | EndOfStreamMessage
Kind = Literal["frame", "track_end", "event", "stream_status", "end_of_stream"]

_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def message_id(run_id: str, stream_id: str, epoch: int, seq: int, kind: str, sub: str = "") -> str:
    """Deterministic id, 32 hex digits: a retry or a re-run with the same `run_id` gives the same
    one, so consumers remove duplicates by it. BLAKE2b (RFC 7693) over the parts, 16 bytes."""
    parts = "\x1f".join((run_id, stream_id, str(epoch), str(seq), kind, sub))
    return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()


def encode(message: Message) -> bytes:
    """One message as UTF-8 JSON without a line break."""
    return message.model_dump_json(by_alias=True).encode()


def decode(body: bytes | str) -> Message:
    """Read a message back. Raises `pydantic.ValidationError` on anything off the contract."""
    return _ADAPTER.validate_json(body)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of every message, discriminated by `kind`."""
    schema = _ADAPTER.json_schema(by_alias=True, mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:eyrie:{SCHEMA}",
        "title": SCHEMA,
        **schema,
    }
