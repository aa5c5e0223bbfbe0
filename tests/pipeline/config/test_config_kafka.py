"""Kafka's keys of the configuration, and the sink that they make."""

from pathlib import Path
from typing import Any, get_args

import pytest

from pipeline.build.sinks import make_sinks
from pipeline.config import KafkaSinkConfig, PipelineConfig
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError
from pipeline.core.messages import Kind
from sinks.kafka import KafkaSink

PASSWORD = "hunter2"
LOGIN = {"user": "eyrie", "password": PASSWORD, "sasl_mechanism": "SCRAM-SHA-512"}


def parsed(**keys: Any) -> PipelineConfig:
    sink = {"kind": "kafka", "bootstrap_servers": "a:1", **keys}
    stream = {"id": "gate", "source": {"kind": "rtsp", "url": "rtsp://camera/1"}}
    return parse_config({"streams": [stream], "sinks": [sink]})


def section(**keys: Any) -> KafkaSinkConfig:
    sink = parsed(**keys).sinks[0]
    assert isinstance(sink, KafkaSinkConfig)
    return sink


def test_one_topic_for_all() -> None:
    assert section(topic="t").topic_by_kind == dict.fromkeys(get_args(Kind), "t")


def test_a_topic_by_kind() -> None:
    topics = section(topic="eyrie.{kind}", topics={"event": "alerts"}).topic_by_kind
    assert topics["frame"] == "eyrie.frame"
    assert topics["event"] == "alerts"


def test_kinds_that_are_not_wanted_need_no_topic() -> None:
    only = {"kinds": ["event", "frame"]}
    wanted = section(topics={"event": "alerts", "frame": "boxes"}, only=only).topic_by_kind
    assert wanted == {"frame": "boxes", "event": "alerts"}


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({}, "`topic` is missing, and `topics` has none for frame, track_end"),
        ({"topics": {"event": "a"}}, "`topics` has none for frame"),
        ({"topic": "no good"}, "letters, digits"),
        ({"topic": "."}, "letters, digits"),
        ({"topic": "{stream_id}"}, "letters, digits"),
        ({"topic": "t" * 250}, "1 to 249"),
        ({"topic": "t", "topics": {"frames": "a"}}, r"topics\.frames"),
        ({"topic": "t", "compression": "snappy"}, "compression"),
        ({"topic": "t", "client": "librdkafka"}, "client"),
        ({"topic": "t", "create": {"partitions": 0}}, "partitions"),
        ({"topic": "t", "tls": {"cert": "a.pem"}}, "cert and key are given together"),
        ({"topic": "t", "user": "eyrie"}, "given together or not at all"),
    ],
)
def test_what_is_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parsed(**keys)


@pytest.mark.parametrize("off", [None, False, "none"])
def test_no_compression_has_several_names(off: object) -> None:
    assert section(topic="t", compression=off).compression == "none"


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_the_sink_shows_no_password(client: str, tmp_path: Path) -> None:
    config = parsed(topic="t", client=client, spool="off", tls=True, create=True, **LOGIN)
    ((sink, _),) = make_sinks(config)
    assert isinstance(sink, KafkaSink)
    shown = repr(sink) + repr(vars(sink)) + repr(config) + str(config.sinks[0])
    assert "eyrie" in shown
    assert PASSWORD not in shown


def test_a_transactional_id_is_the_same_at_each_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(name: str) -> str:
        ((sink, _),) = make_sinks(parsed(topic="t", name=name, transactional=True, spool="off"))
        assert isinstance(sink, KafkaSink)
        assert sink.transactional_id is not None
        return sink.transactional_id

    monkeypatch.chdir(tmp_path)
    first = made("out")
    assert made("out") == first
    assert made("other") != first
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert made("out") != first
