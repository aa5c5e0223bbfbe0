"""Messages of made-up streams whose frames are partly dropped, for tests of those who read."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.core.messages import (
    DropReason,
    EndOfStreamMessage,
    FrameMessage,
    Message,
    TrackEndMessage,
    encode,
    message_id,
)
from sinks.consume.base import Record
from sinks.consume.proof import Asked, Proof
from tests.services.streams import PRODUCER, START

RUN = PRODUCER.run_id


def frame(seq: int, dropped: int = 0, epoch: int = 0, stream: str = "gate") -> FrameMessage:
    reasons: dict[DropReason, int] = {"overflow": dropped} if dropped else {}
    return FrameMessage(
        message_id=message_id(RUN, stream, epoch, seq, "frame"), stream_id=stream, epoch=epoch,
        seq=seq, published_at=START, producer=PRODUCER, pts_ns=seq, captured_at=START,
        captured_source="file", captured_uncertainty_ms=0, arrived_at=START, width=2, height=2,
        dropped_since_last=reasons, detections=[],
    )  # fmt: skip


def track_end(track_id: int, seq: int, stream: str = "gate") -> TrackEndMessage:
    return TrackEndMessage(
        message_id=message_id(RUN, stream, 0, seq, "track_end", str(track_id)), stream_id=stream,
        epoch=0, seq=seq, published_at=START, producer=PRODUCER, track_id=track_id, label="person",
        class_id=0, first_seq=0, last_seq=seq, captured_at=START,
    )  # fmt: skip


def end(messages: Sequence[Message], decoded: int, epoch: int = 0) -> EndOfStreamMessage:
    """The account of these, of a stream with that many frames; all others were dropped."""
    frames = sum(isinstance(message, FrameMessage) for message in messages)
    ends = sum(isinstance(message, TrackEndMessage) for message in messages)
    stream = messages[0].stream_id if messages else "gate"
    dropped: dict[DropReason, int] = {"overflow": decoded - frames} if decoded > frames else {}
    return EndOfStreamMessage(
        message_id=message_id(RUN, stream, epoch, decoded - 1, "end_of_stream"), stream_id=stream,
        epoch=epoch, seq=decoded - 1, published_at=START, producer=PRODUCER, decoded=decoded,
        published=frames, dropped=dropped,
        messages={"frame": frames, "track_end": ends, "end_of_stream": 1},
    )  # fmt: skip


def whole(kept: Sequence[bool], epochs: Sequence[int] | None = None) -> list[Message]:
    """All messages of a stream of which only the frames in `kept` were analysed: an end of a track
    with every third, and its own end."""
    messages: list[Message] = []
    dropped = 0
    for seq, keep in enumerate(kept):
        if not keep:
            dropped += 1
            continue
        messages.append(frame(seq, dropped, epochs[seq] if epochs else 0))
        dropped = 0
        if seq % 3 == 0:
            messages.append(track_end(seq + 1, seq))
    return [*messages, end(messages, len(kept), epochs[-1] if epochs else 0)]


def records(messages: Iterable[Message], source: str = "topic/0") -> list[Record]:
    return [Record(encode(message), source, place) for place, message in enumerate(messages)]


def write(path: Path, messages: Iterable[Message], mode: str = "wb") -> Path:
    with path.open(mode) as file:
        for message in messages:
            file.write(encode(message) + b"\n")
    return path


def proof(messages: Iterable[Message], asked: Asked | None = None) -> Proof:
    proof = Proof(asked or Asked(strict=True))
    proof.take(records(messages))
    return proof
