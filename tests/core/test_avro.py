"""The compact form says the same as JSON, and its schema is the models'."""

import json
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.core.avro import (
    AvroCodec,
    decode_avro,
    encode_avro,
    fingerprint,
    read_avro,
)
from pipeline.core.avro_schema import avro_schema
from pipeline.core.messages import (
    FrameMessage,
    LineCrossMessage,
    Message,
    OtherMessage,
    encode,
)
from tests.core.any_message import any_message
from tests.core.golden_messages import golden

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "docs/schema/eyrie.detections-1.avsc"


@given(any_message)
def test_a_message_survives_the_compact_form(message: Message) -> None:
    body = encode_avro(message)
    assert decode_avro(body) == message
    assert read_avro(body) == message
    assert encode(decode_avro(body)) == encode(message)
    assert encode_avro(encode(message)) == body


def test_the_schema_file_is_that_of_the_models() -> None:
    """Made by `eyrie schema --format avro > docs/schema/eyrie.detections-1.avsc`."""
    assert json.loads(SCHEMA_FILE.read_text()) == avro_schema()


def test_fingerprints_are_those_of_the_specification() -> None:
    assert int.from_bytes(fingerprint("null"), "little") == 7195948357588979594


def frame() -> FrameMessage:
    return next(message for message in golden() if isinstance(message, FrameMessage))


def crossing() -> LineCrossMessage:
    told = next(message for message in golden() if isinstance(message, LineCrossMessage))
    return told.model_copy(update={"evidence": []})


def test_the_compact_form_is_less_than_half_of_json() -> None:
    assert len(encode_avro(frame())) < 0.5 * len(encode(frame()))


def by_another_version(
    message: Message, **changed: Callable[[dict[str, Any]], None]
) -> tuple[bytes, AvroCodec]:
    """A frame message as a version with another schema writes it, and a codec that knows it."""
    schema, record = avro_schema(), json.loads(encode(message))
    place = next(n for n, own in enumerate(schema) if own["name"] == type(message).__name__)
    for change in changed.values():
        change(schema[place])
    name = f"{schema[place]['namespace']}.{schema[place]['name']}"
    for key in [key for key in record if key.endswith("_at")]:
        record[key] = datetime.fromisoformat(record[key])
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), (name, record))
    return b"\xc3\x01" + fingerprint(schema) + body.getvalue(), AvroCodec([schema])


def test_a_field_that_a_writer_does_not_know_yet_has_its_default() -> None:
    def older(record: dict[str, Any]) -> None:
        record["fields"] = [f for f in record["fields"] if f["name"] not in ("phase", "track_uid")]

    body, codec = by_another_version(crossing(), older=older)
    assert codec.decode(body) == crossing().model_copy(update={"track_uid": None})
    with pytest.raises(ValueError, match="schema that is not known here"):
        decode_avro(body)


def test_what_a_later_writer_adds_is_read_past() -> None:
    def newer(record: dict[str, Any]) -> None:
        record["fields"].append({"name": "hue", "type": "long", "default": 7})

    body, codec = by_another_version(crossing(), newer=newer)
    assert codec.read(body) == crossing()
    with pytest.raises(ValidationError):
        codec.decode(body)


def test_of_an_event_that_comes_later_the_envelope_is_read() -> None:
    later = crossing().model_copy(update={"event": "fire", "schema_": "eyrie.detections/1.7.0"})

    def renamed(record: dict[str, Any]) -> None:
        record["name"] = "FireMessage"

    body, codec = by_another_version(later, renamed=renamed)
    message = codec.read(body)
    assert isinstance(message, OtherMessage)
    assert (message.kind, message.seq) == ("event", 14)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_message_are_refused(body: bytes) -> None:
    for damaged in (body, encode_avro(frame())[:10] + body):
        with pytest.raises(ValueError, match=r"Avro message|validation error"):
            decode_avro(damaged)


@given(st.data())
def test_a_message_cut_short_is_refused(data: st.DataObject) -> None:
    body = encode_avro(data.draw(st.sampled_from(golden())))
    with pytest.raises(ValueError, match="Avro message"):
        decode_avro(body[: data.draw(st.integers(0, len(body) - 1))])


@pytest.mark.parametrize(
    "body", [b"", b"7", b"{}", b'{"kind": "frame"}', b'{"kind": "weather"}', b'{"kind": []}']
)
def test_json_that_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="no message of this version"):
        encode_avro(body)


def test_a_number_that_has_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="no message of this version"):
        encode_avro(frame().model_copy(update={"pts_ns": 2**63}))
