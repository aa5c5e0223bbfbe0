"""The soak's ledger believes no stream: every hole in its account is found."""

from datetime import UTC, datetime
from typing import Any

from benchmarks.soak.ledger import Ledger
from pipeline.core.messages import (
    DropReason,
    EndOfStreamMessage,
    FrameMessage,
    Message,
    Model,
    Producer,
    StreamStatusMessage,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def envelope(seq: int) -> dict[str, Any]:
    model = Model(name="m", sha256="0" * 64, precision="int8", engine="scripted")
    producer = Producer(instance="i", version="1", run_id="r", model=model)
    return {
        "message_id": "0" * 32, "stream_id": "gate", "epoch": 0, "seq": seq,
        "published_at": NOW, "producer": producer,
    }  # fmt: skip


def frame(seq: int, dropped: dict[DropReason, int] | None = None) -> Message:
    return FrameMessage(
        **envelope(seq), pts_ns=0, captured_at=NOW, captured_source="arrival",
        captured_uncertainty_ms=0, arrived_at=NOW, width=4, height=4,
        dropped_since_last=dropped or {}, detections=[],
    )  # fmt: skip


def end(decoded: int, published: int, dropped: dict[DropReason, int]) -> Message:
    return EndOfStreamMessage(
        **envelope(decoded - 1), decoded=decoded, published=published, dropped=dropped
    )


def down() -> Message:
    return StreamStatusMessage(
        **envelope(0), status="down", reason="gone", attempt=1, cause="unavailable"
    )


def kept(*messages: Message) -> Ledger:
    ledger = Ledger()
    for at_s, message in enumerate(messages):
        ledger.take(message.model_dump_json(by_alias=True).encode(), at_s)
    return ledger


def test_an_account_that_is_right() -> None:
    ledger = kept(frame(0), frame(3, {"late": 2}), frame(4), end(6, 3, {"late": 2, "stopped": 1}))
    assert ledger.breaks == []
    stream = ledger.stream("gate")
    assert (stream.published, stream.dropped, stream.checked) == (3, {"late": 2, "stopped": 1}, 3)


def test_a_frame_that_nobody_tells_of_is_found_when_it_is_missing() -> None:
    (found, *_) = kept(frame(0), frame(3, {"late": 1}), end(4, 2, {"late": 1})).breaks
    assert found == "gate: frame 3: decoded 4, but published 2, dropped {'late': 1}"


def test_an_end_that_says_something_else_is_found() -> None:
    assert kept(frame(0), end(2, 2, {})).breaks == [
        "gate: end: 2 published, 1 came",
        "gate: end: decoded 2, but published 1, dropped {}",
    ]
    assert kept(frame(1, {"late": 1}), end(2, 1, {"load": 1})).breaks == [
        "gate: end: drops {'load': 1}, told before {'late': 1}"
    ]
    assert kept(frame(0)).breaks == ["gate: no end"]


def test_when_a_stream_went_down_and_came_back() -> None:
    stream = kept(frame(0), down(), down(), frame(1), down(), end(2, 2, {})).stream("gate")
    assert [at_s for at_s, _ in stream.downs] == [1, 2, 4]
    assert stream.backs == [3, 3]
    assert stream.statuses["down"] == 3
