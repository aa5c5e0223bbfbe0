"""The sections of Redis and MQTT sinks, and the sinks that are made of them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.build.sinks import make_sinks
from pipeline.config import PipelineConfig, SpooledSection
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError

SECRET = "hunter2"
ROOT = Path(__file__).resolve().parents[3]
CLUSTER = {"kind": "redis", "url": "redis+cluster://a:7000,b"}
SENTINEL = {"kind": "redis", "url": "redis+sentinel://a,b/main"}
REDIS = {"kind": "redis", "url": "redis://h"}
MQTT = {"kind": "mqtt", "url": "mqtt://h"}


def _config(sink: dict[str, Any]) -> PipelineConfig:
    stream = {"id": "cam", "source": {"kind": "file", "path": "a.mp4"}}
    return parse_config({"streams": [stream], "sinks": [sink]})


@pytest.mark.parametrize(
    "sink",
    [
        REDIS | {"user": "u", "password": SECRET, "maxlen": 5, "max_age_s": 9, "trim": "exact"},
        REDIS | {"url": "rediss://h", "tls": {"verify": False}, "state": "s:{stream_id}"},
        SENTINEL | {"sentinel_password": SECRET, "wait_replicas": 1},
        CLUSTER | {"stream": "{site}:{stream_id}"},
        CLUSTER | {"stream": "eyrie:{stream_id}:{kind}"},
        MQTT | {"user": "u", "password": SECRET, "status_topic": None, "presence_topic": None},
        MQTT | {"url": "mqtts://h", "tls": True, "protocol": "3.1.1", "qos": 2},
    ],
)
def test_sections_that_make_sinks(sink: dict[str, Any]) -> None:
    config = _config(sink)
    (made, _), *others = make_sinks(config)
    assert not others
    assert made.name == sink["kind"]
    assert SECRET not in repr(config) + repr(made) + str(vars(made))


@pytest.mark.parametrize(
    ("sink", "why"),
    [
        (REDIS | {"url": "redis://a,b"}, "several hosts"),
        (REDIS | {"tls": True}, "tls is for an address that begins with rediss"),
        (REDIS | {"sentinel_password": SECRET}, "are for redis\\+sentinel"),
        (CLUSTER | {"wait_replicas": 1}, "wait_replicas is not for a cluster"),
        (CLUSTER | {"stream": "a}b{stream_id}"}, "braces are for a hash tag"),
        (REDIS | {"mode": "pubsub", "maxlen": 5}, "are for mode: stream"),
        (REDIS | {"mode": "pubsub", "state": "{stream_id}"}, "state is for mode: stream"),
        (REDIS | {"state": "all"}, "state must hold {stream_id}"),
        (MQTT | {"url": f"mqtt://u:{SECRET}@h"}, "into their own keys"),
        (MQTT | {"url": "mqtt://h/path"}, "the host and its port and no more"),
        (MQTT | {"url": "mqtt://h:x"}, "a port that is a number"),
        (MQTT | {"tls": True}, "tls is for an address that begins with mqtts"),
        (MQTT | {"password": SECRET}, "password needs user"),
        (MQTT | {"topic": "a/#"}, "a topic has no"),
        (MQTT | {"topic": "a/{stream}"}, "braces only around a placeholder"),
        (MQTT | {"topic": "{client_id}"}, "is for presence_topic"),
        (MQTT | {"status_topic": "all"}, "status_topic must hold {stream_id}"),
        (MQTT | {"presence_topic": "{stream_id}"}, "presence_topic is about this process"),
        (MQTT | {"qos": 3}, r"sinks\[0\]\.qos"),
    ],
)
def test_sections_that_cannot_be(sink: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why) as raised:
        _config(sink)
    assert SECRET not in str(raised.value)


def test_spools() -> None:
    for sink, expected in ((REDIS, True), (REDIS | {"mode": "pubsub"}, False), (MQTT, True)):
        section = _config(sink).sinks[0]
        assert isinstance(section, SpooledSection)
        assert section.spools is expected


def test_without_paho_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['paho'] = None; sys.modules['paho.mqtt.client'] = None\n"
        "from tests.pipeline.config.test_redis_mqtt_config import MQTT, _config\n"
        "from pipeline.core.errors import SinkError\n"
        "from pipeline.build.sinks import make_sinks\n"
        "try:\n    make_sinks(_config(MQTT))\n"
        "except SinkError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "sink 'mqtt': MQTT needs paho-mqtt: pip install 'eyrie[mqtt]'\n"
