"""The contract only gains within its major version, and what holds it to that sees what breaks."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pipeline.core.avro import AvroCodec, decode_avro, encode_avro
from pipeline.core.avro_schema import avro_schema
from pipeline.core.messages import SCHEMA, decode, encode, json_schema, read
from tests.core.compatibility import Schema, unreadable
from tests.core.golden_messages import golden

FOLDER = Path(__file__).resolve().parents[2] / "docs/schema"
VERSION = SCHEMA.partition("/")[2]


def released() -> dict[str, Schema]:
    """The schema of every version so far, this one among them. These files are never changed."""
    files = sorted((FOLDER / "released").glob("eyrie.detections-1.*.json"))
    return {
        file.stem.removeprefix("eyrie.detections-"): json.loads(file.read_text()) for file in files
    }


def lines(version: str) -> list[bytes]:
    return (FOLDER / "golden" / f"{version}.jsonl").read_bytes().splitlines()


@pytest.mark.parametrize("version", released())
def test_consumers_of_an_older_version_read_what_this_one_writes(version: str) -> None:
    assert unreadable(json_schema(), released()[version], tolerant=True) == []


@pytest.mark.parametrize("version", released())
def test_this_version_reads_what_an_older_one_wrote(version: str) -> None:
    assert unreadable(released()[version], json_schema("validation")) == []


def test_another_contract_has_another_number() -> None:
    """A released version's file is never made anew: what differs from it is a new version, with a
    file of its own, made by `eyrie schema`."""
    assert released()[VERSION] == json_schema()


@pytest.mark.parametrize("version", released())
def test_golden_messages_are_those_of_their_version(version: str) -> None:
    validator = Draft202012Validator(released()[version])
    for line in lines(version):
        validator.validate(json.loads(line))


@pytest.mark.parametrize("version", released())
def test_golden_messages_of_every_version_are_read(version: str) -> None:
    for line in lines(version):
        message = decode(line)
        assert read(line) == message
        assert json.loads(encode(message)).items() >= _but_detections(line).items()
        assert decode_avro(encode_avro(line)) == message


COMPACT = sorted((FOLDER / "released").glob("eyrie.detections-1.*.avsc"))


@pytest.mark.parametrize("file", COMPACT, ids=lambda path: path.name)
def test_golden_messages_in_the_compact_form_of_every_version_are_read(file: Path) -> None:
    version = file.stem.removeprefix("eyrie.detections-")
    codec = AvroCodec([json.loads(file.read_text())])
    bodies = (FOLDER / "golden" / f"{version}.avro.txt").read_text().split()
    assert [codec.decode(bytes.fromhex(body)) for body in bodies] == [
        decode(line) for line in lines(version)
    ]


def test_another_schema_of_the_compact_form_has_another_number() -> None:
    file = FOLDER / "released" / f"eyrie.detections-{VERSION}.avsc"
    assert json.loads(file.read_text()) == avro_schema()


def _but_detections(line: bytes) -> dict[str, Any]:
    """Without the list that has gained fields inside."""
    body: dict[str, Any] = json.loads(line)
    if body["kind"] == "frame":
        del body["detections"]
    return body


def test_golden_messages_are_what_this_version_writes() -> None:
    """Made by `python -m tests.core.golden_messages`."""
    assert [encode(message) for message in golden()] == lines(VERSION)
    compact = (FOLDER / "golden" / f"{VERSION}.avro.txt").read_text().split()
    assert [encode_avro(message).hex() for message in golden()] == compact


def test_the_golden_messages_have_every_kind_and_field() -> None:
    told = [json.loads(line) for line in lines(VERSION)]
    assert {body["kind"] for body in told} == {
        "frame", "track_end", "event", "stream_status", "end_of_stream",
    }  # fmt: skip
    assert {body["status"] for body in told if body["kind"] == "stream_status"} == {
        "up", "down", "impaired", "heartbeat",
    }  # fmt: skip


Mutation = Callable[[dict[str, Schema]], object]
"""Changes the parts of a schema, by the name of the model."""

FRAME, TRACK_END, STATUS = "FrameMessage", "TrackEndMessage", "StreamStatusMessage"

BREAKS_CONSUMERS: dict[str, Mutation] = {
    "a field goes": lambda d: _drop_field(d[FRAME], "pts_ns"),
    "a field of a part goes": lambda d: _drop_field(d["Detection"], "score"),
    "a field becomes optional": lambda d: d[FRAME]["required"].remove("width"),
    "a field may be null": lambda d: _put(
        d[FRAME], "pts_ns", anyOf=[{"type": "integer"}, {"type": "null"}]
    ),
    "a type changes": lambda d: _put(d[FRAME], "pts_ns", type="string"),
    "a whole number gets a fraction": lambda d: _put(d[FRAME], "width", type="number"),
    "a time is no time": lambda d: _put(d[FRAME], "captured_at", type="string"),
    "a range widens": lambda d: _put(d[FRAME], "width", type="integer", minimum=0),
    "a pattern goes": lambda d: _put(d[FRAME], "message_id", type="string"),
    "a box has other numbers": lambda d: d["Detection"]["properties"]["box"].update(maxItems=5),
    "a closed enumeration grows": lambda d: d["LineCrossMessage"]["properties"]["direction"][
        "enum"
    ].append("both"),
    "a closed map gets a key": lambda d: d["LineCrossMessage"]["properties"]["counts"][
        "propertyNames"
    ]["enum"].append("both"),
    "an enumeration becomes any string": lambda d: _put(d[STATUS], "status", type="string"),
    "what a map holds changes": lambda d: d[FRAME]["properties"]["dropped_since_last"].update(
        additionalProperties={"type": "string"}
    ),
    "a list holds something else": lambda d: d[FRAME]["properties"]["detections"].update(
        items={"type": "string"}
    ),
}

BREAKS_READING: dict[str, Mutation] = {
    "a field goes": lambda d: _drop_field(d[FRAME], "pts_ns"),
    "a field becomes required": lambda d: d[TRACK_END]["required"].append("cause"),
    "a new field is required": lambda d: _add(d[TRACK_END], "why", {"type": "string"}),
    "a type changes": lambda d: _put(d[FRAME], "pts_ns", type="string"),
    "a type narrows": lambda d: _put(d[FRAME], "captured_uncertainty_ms", type="integer"),
    "null is no longer taken": lambda d: _put(d["Detection"], "track_id", type="integer"),
    "a range narrows": lambda d: _put(d[FRAME], "width", type="integer", minimum=2),
    "a text must have a form": lambda d: _put(
        d["Producer"], "instance", type="string", pattern="a"
    ),
    "an enumeration loses a value": lambda d: d[STATUS]["properties"]["status"]["enum"].remove(
        "cleared"
    ),
    "a map loses a key": lambda d: d[FRAME]["properties"]["dropped_since_last"]["propertyNames"][
        "enum"
    ].remove("late"),
}

GAINS: dict[str, Mutation] = {
    "a field more": lambda d: _add(d[FRAME], "weather", {"type": "string"}),
    "a field more in a part": lambda d: _add(d["Detection"], "mask", {"type": "string"}),
    "a status more": lambda d: d[STATUS]["properties"]["status"]["enum"].append("asleep"),
    "a drop reason more": lambda d: d[FRAME]["properties"]["dropped_since_last"]["propertyNames"][
        "enum"
    ].append("bored"),
    "a range narrows": lambda d: _put(d[FRAME], "width", type="integer", minimum=2),
}


def _put(model: Schema, field: str, **schema: Any) -> None:
    assert field in model["properties"]
    model["properties"][field] = schema


def _add(model: Schema, field: str, schema: Schema) -> None:
    model["properties"][field] = schema
    model["required"].append(field)


def _drop_field(model: Schema, field: str) -> None:
    del model["properties"][field]
    if field in model["required"]:
        model["required"].remove(field)


def mutated(schema: Schema, mutation: Mutation) -> Schema:
    changed = copy.deepcopy(schema)
    mutation(changed["$defs"])
    assert changed != schema
    return changed


@pytest.mark.parametrize("mutation", BREAKS_CONSUMERS.values(), ids=BREAKS_CONSUMERS)
def test_what_breaks_consumers_is_seen(mutation: Mutation) -> None:
    old = json_schema()
    found = unreadable(mutated(old, mutation), old, tolerant=True)
    assert len(found) >= 1, found


@pytest.mark.parametrize("mutation", BREAKS_READING.values(), ids=BREAKS_READING)
def test_what_makes_old_messages_unreadable_is_seen(mutation: Mutation) -> None:
    found = unreadable(json_schema(), mutated(json_schema("validation"), mutation))
    assert len(found) >= 1, found


@pytest.mark.parametrize("mutation", GAINS.values(), ids=GAINS)
def test_what_is_only_gained_breaks_nobody(mutation: Mutation) -> None:
    old = json_schema()
    assert unreadable(mutated(old, mutation), old, tolerant=True) == []


def another_event(schema: Schema) -> Schema:
    """With `fire` beside the others, in the union within the union."""
    changed = copy.deepcopy(schema)
    fire = copy.deepcopy(changed["$defs"]["LineCrossMessage"])
    fire["properties"]["event"]["const"] = "fire"
    changed["$defs"]["FireMessage"] = fire
    (events,) = (choice["oneOf"] for choice in changed["oneOf"] if "oneOf" in choice)
    events.append({"$ref": "#/$defs/FireMessage"})
    return changed


def test_another_event_breaks_nobody_and_an_event_that_goes_breaks_reading() -> None:
    old = json_schema()
    assert unreadable(another_event(old), old, tolerant=True) == []
    assert unreadable(another_event(old), json_schema("validation")) == [
        ": event/fire is not known"
    ]


def test_a_kind_that_goes_breaks_reading() -> None:
    fewer = json_schema("validation")
    fewer["oneOf"].remove({"$ref": "#/$defs/TrackEndMessage"})
    assert unreadable(json_schema(), fewer) == [": track_end is not known"]
