"""The message contract: ids, round trip, and a published schema that every message obeys."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as SchemaError
from pydantic import ValidationError

from pipeline.core.message_parts import Envelope
from pipeline.core.messages import (
    SCHEMA,
    FrameMessage,
    Message,
    OtherMessage,
    decode,
    encode,
    json_schema,
    message_id,
    read,
    track_uid,
)
from tests.core.any_message import any_message, counts

VALIDATOR = Draft202012Validator(json_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)

GOLDEN_ID = "4e8e46a771cb5e17373a9c70e820d3f6"


def _frame() -> dict[str, Any]:
    """One frame message as plain JSON."""
    moment = "2026-01-02T03:04:05.000006Z"
    model = {"name": "m", "sha256": "a" * 64, "precision": "int8", "engine": "e"}
    return {
        "schema": SCHEMA, "message_id": "0" * 32, "stream_id": "cam", "epoch": 0,
        "seq": 7, "published_at": moment, "kind": "frame", "pts_ns": 0, "captured_at": moment,
        "captured_source": "rtcp", "captured_uncertainty_ms": 0.5, "arrived_at": moment,
        "width": 4, "height": 3, "dropped_since_last": {"overflow": 2},
        "producer": {"instance": "i", "version": "v", "run_id": "r", "model": model},
        "detections": [
            {"label": "car", "class_id": 2, "score": 0.5, "box": [0.0, 1.0, 2.0, 3.0],
             "track_id": None, "track_uid": None, "track_state": None, "track_age_ms": None,
             "plane": None}
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
    assert schema["title"] == SCHEMA
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


def test_ids_of_tracks_differ_by_run_stream_and_number() -> None:
    uids = {track_uid(run, cam, n) for run in "ab" for cam in "ab" for n in (1, 2)}
    assert len(uids) == 8
    assert track_uid("run", "cam", 1) == "dcbf948a9d0018ab"


def _event() -> dict[str, Any]:
    """An event of a kind that a later version may know."""
    envelope = {k: v for k, v in _frame().items() if k in Envelope.model_fields}
    return envelope | {
        "schema": "eyrie.detections/1.7.0", "kind": "event", "event": "fire", "zone": "dock",
    }  # fmt: skip


LATER: list[dict[str, Any]] = [
    {"surprise": 1}, {"dropped_since_last": {"bored": 1}}, {"captured_source": "gps"},
    {"producer": _frame()["producer"] | {"site": "x"}},
    {"detections": [_frame()["detections"][0] | {"track_state": "asleep", "mask": [1]}]},
]  # fmt: skip


@pytest.mark.parametrize("added", LATER, ids=json.dumps)
def test_a_consumer_reads_what_later_minor_versions_add(added: dict[str, Any]) -> None:
    body = json.dumps(_frame() | {"schema": "eyrie.detections/1.7.0"} | added)
    with pytest.raises(ValidationError):
        decode(body)
    message = read(body)
    assert isinstance(message, FrameMessage)
    assert (message.seq, message.detections[0].box) == (7, (0, 1, 2, 3))


@pytest.mark.parametrize("later", [_event(), _event() | {"kind": "weather"}])
def test_of_kinds_and_events_that_come_later_a_consumer_reads_the_envelope(
    later: dict[str, Any],
) -> None:
    message = read(json.dumps(later))
    assert isinstance(message, OtherMessage)
    assert (message.kind, message.stream_id, message.seq) == (later["kind"], "cam", 7)


@pytest.mark.parametrize(
    "broken",
    [{"schema": "eyrie.detections/2.0.0"}, {"seq": "x"}, {"kind": "frames"}, {"width": None}],
    ids=json.dumps,
)
def test_a_consumer_refuses_what_no_minor_version_may_do(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(json.dumps(_frame() | broken))


@given(any_message)
def test_a_consumer_reads_what_this_version_writes(message: Message) -> None:
    assert read(encode(message)) == message
