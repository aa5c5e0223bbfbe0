"""Addresses of consumers: what they say, and what is refused in one line without a secret."""

from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError
from sinks.consume import consume
from sinks.consume.address import FileAddress, KafkaAddress, StreamAddress, parse_address


def test_kafka(tmp_path: Path) -> None:
    assert parse_address("kafka://a:1,b:2/told") == KafkaAddress(("a:1", "b:2"), ("told",))
    ca = tmp_path / "ca.pem"
    ca.touch()
    text = f"kafkas://ann:s%40crt@a:1/x,y?sasl_mechanism=SCRAM-SHA-512&ca={ca}"
    found = parse_address(text)
    assert found == KafkaAddress(
        ("a:1",), ("x", "y"), "ann", "s@crt", "SCRAM-SHA-512", True, str(ca)
    )
    assert "s@crt" not in repr(found)


def test_redis() -> None:
    found = parse_address("redis://ann:secret@a:1/2?stream=x,y")
    assert isinstance(found, StreamAddress)
    assert (found.redis.nodes, found.redis.db, found.streams) == ((("a", 1),), 2, ("x", "y"))
    assert "secret" not in repr(found)
    default = parse_address("redis+sentinel://a:1,b:2/main/0")
    assert isinstance(default, StreamAddress)
    assert (default.redis.service, default.streams) == ("main", ("eyrie:detections",))


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("file:out/*.jsonl", "out/*.jsonl"),
        ("file:///tmp/x.jsonl", "/tmp/x.jsonl"),
        ("out/gate.jsonl", "out/gate.jsonl"),
    ],
)
def test_files(text: str, pattern: str) -> None:
    assert parse_address(text) == FileAddress(pattern)


@pytest.mark.parametrize(
    "text",
    [
        "", "file:", "gate", "kafka://host", "kafka:///topic", "kafka://a:hunter2@b:1/t?x=1",
        "http://a:hunter2@b/", "redis://a:hunter2@b:port/0", "redis://b/0?stream=",
        "kafkas://a:hunter2@b:1/t?ca=/nowhere.pem", "redis://a:hunter2@[b/0",
        "kafka://a:hunter2/t", "kafka://a:1,b:hunter2/t", "kafka://b/t?password=hunter2",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_secret(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        consume(text)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)
