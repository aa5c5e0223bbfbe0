"""The message contract: ids, round trip, and a published schema that every message obeys."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as SchemaError
from pydantic import ValidationError

from pipeline.core import messages
from pipeline.core.messages import (
    Detection,
    EndOfStreamMessage,
    EventMessage,
    FrameMessage,
    Message,
    Model,
    Producer,
    StreamStatusMessage,
    TrackEndMessage,
    decode,
    encode,
    json_schema,
    message_id,
)  # fmt: skip

VALIDATOR = Draft202012Validator(json_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)

GOLDEN_ID = "4e8e46a771cb5e17373a9c70e820d3f6"

counts = st.integers(0, 2**53)
ids = st.integers(1, 2**53)
numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=12)
hex32 = st.text("0123456789abcdef", min_size=32, max_size=32)
moments = st.datetimes(
    datetime(1970, 1, 1), datetime(2200, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)  # fmt: skip
drops = st.dictionaries(st.sampled_from(["overflow", "target_fps", "corrupt", "stopped"]), counts)
producers = st.builds(
    Producer, instance=texts, version=texts, run_id=texts,
    model=st.builds(
        Model, name=texts, sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
        precision=st.sampled_from(["int8", "fp16", "fp32"]), engine=texts,
    ),
)  # fmt: skip
detections = st.builds(
    Detection, label=texts, class_id=counts, score=st.floats(0, 1),
    box=st.tuples(numbers, numbers, numbers, numbers), track_id=st.none() | ids,
)  # fmt: skip
common: dict[str, Any] = {
    "message_id": hex32, "stream_id": st.text(min_size=1, max_size=12), "epoch": counts,
    "published_at": moments, "producer": producers,
}  # fmt: skip
any_seq = st.integers(-1, 2**53)
track: dict[str, Any] = {"track_id": ids, "label": texts, "class_id": counts}

any_message: st.SearchStrategy[Message] = st.one_of(
    st.builds(
        FrameMessage, **common, seq=counts, pts_ns=st.integers(-(2**53), 2**53),
        captured_at=moments,
        captured_source=st.sampled_from(["rtcp", "container", "file", "arrival"]),
        captured_uncertainty_ms=st.floats(0, 1e9), arrived_at=moments, width=ids, height=ids,
        dropped_since_last=drops, detections=st.lists(detections, max_size=3),
    ),
    st.builds(
        TrackEndMessage, **common, **track, seq=any_seq, first_seq=counts, last_seq=counts,
        captured_at=moments,
    ),
    st.builds(
        EventMessage, **common, **track, seq=any_seq, event_id=hex32, line=texts,
        direction=st.sampled_from(["in", "out"]), point=st.tuples(numbers, numbers),
        crossed_at=moments, counts=st.fixed_dictionaries({"in": counts, "out": counts}),
    ),
    st.builds(
        StreamStatusMessage, **common, seq=any_seq, status=st.sampled_from(["up", "down"]),
        reason=texts, attempt=counts,
    ),
    st.builds(
        EndOfStreamMessage, **common, seq=any_seq, decoded=counts, published=counts,
        dropped=drops, error=st.none() | texts,
    ),
)  # fmt: skip


def _frame() -> dict[str, Any]:
    """One frame message as plain JSON."""
    moment = "2026-01-02T03:04:05.000006Z"
    model = {"name": "m", "sha256": "a" * 64, "precision": "int8", "engine": "e"}
    return {
        "schema": messages.SCHEMA, "message_id": "0" * 32, "stream_id": "cam", "epoch": 0,
        "seq": 7, "published_at": moment, "kind": "frame", "pts_ns": 0, "captured_at": moment,
        "captured_source": "rtcp", "captured_uncertainty_ms": 0.5, "arrived_at": moment,
        "width": 4, "height": 3, "dropped_since_last": {"overflow": 2},
        "producer": {"instance": "i", "version": "v", "run_id": "r", "model": model},
        "detections": [
            {"label": "car", "class_id": 2, "score": 0.5, "box": [0.0, 1.0, 2.0, 3.0],
             "track_id": None}
        ],
    }  # fmt: skip


@given(any_message)
def test_a_message_survives_the_wire(message: Message) -> None:
    body = encode(message)
    assert b"\n" not in body
    assert decode(body) == message
    assert encode(decode(body)) == body


@given(any_message)
def test_every_message_obeys_the_published_schema(message: Message) -> None:
    VALIDATOR.validate(json.loads(encode(message)))


def test_the_schema_is_itself_valid_and_names_its_version() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == messages.SCHEMA
    json.dumps(schema)


def test_the_wire_form_is_the_one_consumers_read() -> None:
    body = json.dumps(_frame()).encode()
    assert json.loads(encode(decode(body))) == _frame()


BREAKAGES: list[dict[str, Any]] = [
    {"surprise": 1}, {"schema": "eyrie.detections/2.0.0"}, {"kind": "frames"}, {"seq": -1},
    {"stream_id": ""}, {"message_id": "0" * 31}, {"message_id": "G" * 32}, {"width": 0},
    {"dropped_since_last": {"bored": 1}}, {"dropped_since_last": {"overflow": -1}},
    {"captured_source": "guess"}, {"captured_uncertainty_ms": -1}, {"detections": None},
]  # fmt: skip


@pytest.mark.parametrize("broken", BREAKAGES, ids=json.dumps)
def test_what_breaks_the_contract_fails_in_the_reader_and_in_the_schema(
    broken: dict[str, Any],
) -> None:
    body = _frame() | broken
    with pytest.raises(ValidationError):
        decode(json.dumps(body))
    with pytest.raises(SchemaError):
        VALIDATOR.validate(body)


@pytest.mark.parametrize(
    "broken", [{"score": 1.01}, {"track_id": 0}, {"box": [0, 1, 2]}, {"class_id": -1}]
)
def test_a_broken_detection_is_refused(broken: dict[str, Any]) -> None:
    body = _frame()
    body["detections"] = [body["detections"][0] | broken]
    with pytest.raises(ValidationError):
        decode(json.dumps(body))
    with pytest.raises(SchemaError):
        VALIDATOR.validate(body)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        decode(json.dumps(_frame() | {"captured_at": "2026-01-02T03:04:05"}))


def test_message_ids_are_the_same_for_ever() -> None:
    assert message_id("run", "cam", 0, 7, "frame") == message_id("run", "cam", 0, 7, "frame", "")
    assert message_id("run", "cam", 0, 7, "frame") == GOLDEN_ID


parts = st.tuples(
    *(st.text("ab-/1", max_size=3), st.text("ab-/1", max_size=3), counts, counts),
    st.sampled_from(["frame", "event"]), st.text("ab-/1", max_size=3),
)  # fmt: skip


@given(parts, parts)
def test_message_ids_differ_exactly_when_a_part_differs(
    one: tuple[str, str, int, int, str, str], other: tuple[str, str, int, int, str, str]
) -> None:
    assert (message_id(*one) == message_id(*other)) == (one == other)


def test_parts_of_a_message_id_do_not_run_together() -> None:
    assert message_id("ab", "c", 0, 0, "frame") != message_id("a", "bc", 0, 0, "frame")
    assert message_id("r", "s", 1, 11, "frame") != message_id("r", "s", 11, 1, "frame")
