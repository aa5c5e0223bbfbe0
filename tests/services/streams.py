"""Messages of a made-up run, for tests of sinks."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest

from pipeline.core.messages import (
    Detection,
    EndOfStreamMessage,
    FrameMessage,
    Message,
    Model,
    Producer,
    StreamStatusMessage,
    message_id,
)
from sinks.base import Outgoing

START = datetime(2026, 1, 1, tzinfo=UTC)
PRODUCER = Producer(
    instance="test",
    version="0.0.0",
    run_id="run-1",
    model=Model(name="none", sha256="0" * 64, precision="fp32", engine="none"),
)


def outgoing(stream_ids: Sequence[str], frames: int) -> list[Outgoing]:
    """The messages of all streams, taking turns: up, `frames` frames, end of stream."""
    turns = zip_longest(*(_stream(stream_id, frames) for stream_id in stream_ids))
    return [Outgoing.of(message) for turn in turns for message in turn]


def numbered(messages: Sequence[Outgoing], spool: str = "spool-1") -> list[Outgoing]:
    """The messages as a spool hands them out: numbered from 1."""
    return [replace(message, number=i, spool=spool) for i, message in enumerate(messages, 1)]


def bodies_by_stream(messages: Sequence[Outgoing]) -> dict[str, list[bytes]]:
    """The bodies of each stream, in order."""
    bodies: dict[str, list[bytes]] = {}
    for message in messages:
        bodies.setdefault(message.key, []).append(message.body)
    return bodies


def _stream(stream_id: str, frames: int) -> list[Message]:
    up = StreamStatusMessage(
        message_id=message_id("run-1", stream_id, 0, -1, "stream_status", "up"),
        stream_id=stream_id, epoch=0, seq=-1, published_at=START, producer=PRODUCER,
        status="up", reason="", attempt=0,
    )  # fmt: skip
    end = EndOfStreamMessage(
        message_id=message_id("run-1", stream_id, 0, frames, "end_of_stream"),
        stream_id=stream_id, epoch=0, seq=frames, published_at=START, producer=PRODUCER,
        decoded=frames, published=frames, dropped={},
    )  # fmt: skip
    return [up, *(_frame(stream_id, seq) for seq in range(frames)), end]


def _frame(stream_id: str, seq: int) -> FrameMessage:
    moment = START + timedelta(milliseconds=40 * seq)
    person = Detection(label="person", class_id=0, score=0.5, box=(1, 2, 30, 40), track_id=None)
    return FrameMessage(
        message_id=message_id("run-1", stream_id, 0, seq, "frame"),
        stream_id=stream_id, epoch=0, seq=seq, published_at=moment, producer=PRODUCER,
        pts_ns=seq * 40_000_000, captured_at=moment, captured_source="file",
        captured_uncertainty_ms=1.0, arrived_at=moment, width=640, height=360,
        dropped_since_last={}, detections=[person] * (seq % 3),
    )  # fmt: skip
