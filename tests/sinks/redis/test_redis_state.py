"""The hash that tells what a stream's last messages said."""

import json
from datetime import UTC, datetime

from pipeline.core.messages import (
    LineCrossMessage,
    Message,
    StreamStatusMessage,
    message_id,
)
from sinks.base import Outgoing
from sinks.redis.state import last_states
from tests.services.streams import PRODUCER, START, outgoing

NOW = datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC)


def _status(status: str, reason: str) -> Outgoing:
    message = StreamStatusMessage.model_validate(
        {
            "message_id": message_id("run-1", "gate", 1, 7, "stream_status", status),
            "stream_id": "gate", "epoch": 1, "seq": 7, "published_at": START,
            "producer": PRODUCER, "status": status, "reason": reason, "attempt": 1,
        }
    )  # fmt: skip
    return Outgoing.of(message)


def _crossing() -> Outgoing:
    message: Message = LineCrossMessage(
        message_id=message_id("run-1", "gate", 1, 8, "event"), stream_id="gate", epoch=1, seq=8,
        published_at=START, producer=PRODUCER, event_id="0" * 32, line="door", direction="in",
        track_id=3, label="person", class_id=0, point=(1, 2), crossed_at=START,
        counts={"in": 1, "out": 0},
    )  # fmt: skip
    return Outgoing.of(message)


def test_only_the_newest_of_each_kind_counts() -> None:
    state = last_states(outgoing(["gate"], frames=6)[:-1], NOW)["gate"]
    assert state["frame_seq"] == state["seq"] == "5"
    assert (state["detections"], state["counts"]) == ("2", '{"person":2}')
    assert state["updated_at"] == "2026-02-03T04:05:06.000007Z"


def test_seq_is_that_of_the_newest_message_of_all() -> None:
    frame = outgoing(["gate"], frames=1)[1]
    assert last_states([frame, _crossing()], NOW)["gate"]["seq"] == "8"
    assert last_states([_crossing(), frame], NOW)["gate"]["seq"] == "0"


def test_statuses() -> None:
    told = {
        status: last_states([_status(status, "why")], NOW)["gate"].get("status")
        for status in ("up", "down", "impaired", "cleared", "heartbeat")
    }
    assert told == {
        "up": "up", "down": "down", "impaired": "impaired", "cleared": "up", "heartbeat": None,
    }  # fmt: skip
    ended = last_states(outgoing(["gate"], frames=0), NOW)["gate"]
    assert (ended["status"], ended["reason"]) == ("ended", "")


def test_the_last_event_has_no_envelope() -> None:
    state = last_states([_crossing()], NOW)["gate"]
    event = json.loads(state["event"])
    assert event["line"] == "door"
    assert event["direction"] == "in"
    assert not {"schema", "producer", "message_id", "stream_id"} & event.keys()
    assert state["event_at"] == "2026-01-01T00:00:00.000000Z"


def test_streams_are_apart() -> None:
    states = last_states(outgoing(["gate", "yard"], frames=2), NOW)
    assert {each["stream_id"] for each in states.values()} == set(states) == {"gate", "yard"}
