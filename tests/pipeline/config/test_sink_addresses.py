"""What `eyrie detect --sink` takes: an address -> a section of `sinks`."""

from typing import Any

import pytest

from pipeline.cli.detect import parse_sink
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError

SECRET = "hunter2"
CA = {"tls": {"ca": "ca.pem"}}


@pytest.mark.parametrize(
    ("address", "section"),
    [
        ("-", {"kind": "jsonl", "path": "-"}),
        ("kafka://a:1,b:2/told",
         {"kind": "kafka", "bootstrap_servers": "a:1,b:2", "topic": "told"}),
        (
            f"kafkas://u:{SECRET}@a:1/told?sasl_mechanism=SCRAM-SHA-256&ca=ca.pem",
            {"kind": "kafka", "bootstrap_servers": "a:1", "topic": "told", "user": "u",
             "password": SECRET, "sasl_mechanism": "SCRAM-SHA-256", **CA},
        ),
        ("kafkas://a:1/told",
         {"kind": "kafka", "bootstrap_servers": "a:1", "topic": "told", "tls": True}),
        ("redis://h:1/2?stream=s&maxlen=9",
         {"kind": "redis", "url": "redis://h:1/2", "stream": "s", "maxlen": "9"}),
        ("rediss://h?ca=ca.pem", {"kind": "redis", "url": "rediss://h", **CA}),
        ("unix:///run/r.sock?db=2&mode=pubsub",
         {"kind": "redis", "url": "unix:///run/r.sock?db=2", "mode": "pubsub"}),
        ("redis+sentinel://a:1,b:2/main/3?stream=s&sentinel_user=u",
         {"kind": "redis", "url": "redis+sentinel://a:1,b:2/main/3", "stream": "s",
          "sentinel_user": "u"}),
        ("rediss+sentinel://a/main", {"kind": "redis", "url": "rediss+sentinel://a/main"}),
        ("redis+cluster://a:1,b:2", {"kind": "redis", "url": "redis+cluster://a:1,b:2"}),
        ("rediss+cluster://a?ca=ca.pem", {"kind": "redis", "url": "rediss+cluster://a", **CA}),
        ("mqtt://h:1?topic=a/b&qos=2",
         {"kind": "mqtt", "url": "mqtt://h:1", "topic": "a/b", "qos": "2"}),
        (f"mqtts://u:{SECRET}%2F@h?ca=ca.pem",
         {"kind": "mqtt", "url": "mqtts://h", "user": "u", "password": f"{SECRET}/", **CA}),
    ],
)  # fmt: skip
def test_an_address_becomes_a_valid_section(address: str, section: dict[str, Any]) -> None:
    assert parse_sink(address) == section
    stream = {"id": "cam", "source": {"kind": "file", "path": "a.mp4"}}
    (parsed,) = parse_config({"streams": [stream], "sinks": [section]}).sinks
    assert parsed.kind == section["kind"]


@pytest.mark.parametrize(
    "address",
    [
        f"amqp://u:{SECRET}@h/x", f"kafka://u:{SECRET}@h", f"kafka:///{SECRET}",
        f"mqtt://u:{SECRET}@[::1", f"redis+ring://u:{SECRET}@h", f"mqtt+x://u:{SECRET}@h",
        f"mqtt://u:{SECRET}@h/topic", f"redis+sentinel://u:{SECRET}@h", f"mqtt://u:{SECRET}@h:x",
    ],
)  # fmt: skip
def test_a_wrong_address_is_one_line_without_the_password(address: str) -> None:
    stream = {"id": "cam", "source": {"kind": "file", "path": "a.mp4"}}
    with pytest.raises(ConfigError) as raised:
        parse_config({"streams": [stream], "sinks": [parse_sink(address)]})
    said = str(raised.value)
    assert SECRET not in said
    assert "\n" not in said
