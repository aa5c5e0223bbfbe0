"""A frame message on the hot path: the fields of `FrameMessage`, checked by tests instead of at
every birth, and encoded by msgspec. The bytes are those of the model."""

from typing import Final, Literal

import msgspec

from pipeline.core.clock import ClockSource
from pipeline.core.messages import (
    SCHEMA,
    DropReason,
    FrameMessage,
    Message,
    Producer,
    TrackState,
    encode,
)


class PlaneRow(msgspec.Struct, frozen=True, gc=False):
    """A `pipeline.core.messages.PlanePoint`, unchecked; pairs have two floats."""

    position_m: list[float]
    position_uncertainty_m: float
    speed_m_s: float | None = None
    speed_uncertainty_m_s: float | None = None
    velocity_m_s: list[float] | None = None


class DetectionRow(msgspec.Struct, frozen=True, gc=False):
    """A `pipeline.core.messages.Detection`, unchecked; `box` has four floats."""

    label: str
    class_id: int
    score: float
    box: list[float]
    track_id: int | None = None
    track_uid: str | None = None
    track_state: TrackState | None = None
    track_age_ms: float | None = None
    plane: PlaneRow | None = None


class FrameRecord(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, rename={"schema_": "schema"}
):
    """A `FrameMessage`, unchecked. Times are the text of `pipeline.core.clock.utc_text`.

    Who makes one keeps the rules of the contract: numbers are finite, scores within 0 and 1, counts
    at least 0. `model` checks them.
    """

    schema_: str = SCHEMA
    message_id: str
    stream_id: str
    epoch: int
    seq: int
    published_at: str
    producer: msgspec.Raw
    """A `Producer` as JSON, made once by `encode_producer`."""
    kind: Literal["frame"] = "frame"
    pts_ns: int
    captured_at: str
    captured_source: ClockSource
    captured_uncertainty_ms: float
    arrived_at: str
    width: int
    height: int
    dropped_since_last: dict[DropReason, int]
    detections: list[DetectionRow]

    def encode(self) -> bytes:
        """The message as UTF-8 JSON without a line break."""
        return _ENCODER.encode(self)

    def model(self) -> FrameMessage:
        """The same as a checked model. Raises `pydantic.ValidationError`."""
        return FrameMessage.model_validate_json(self.encode())

    def with_detections(self, rows: list[DetectionRow]) -> "FrameRecord":
        """A copy that tells these detections instead."""
        return msgspec.structs.replace(self, detections=rows)


AnyMessage = Message | FrameRecord
"""Any message that a composer makes: `kind`, `stream_id`, `message_id` and the rest have the same
names."""

_ENCODER: Final = msgspec.json.Encoder()


def encode_producer(producer: Producer) -> msgspec.Raw:
    """Encode the producer, for `FrameRecord.producer`."""
    return msgspec.Raw(producer.model_dump_json().encode())


def to_json(told: AnyMessage) -> bytes:
    """One message as UTF-8 JSON without a line break."""
    return told.encode() if isinstance(told, FrameRecord) else encode(told)
