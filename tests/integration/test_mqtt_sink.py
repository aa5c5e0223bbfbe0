"""The MQTT sink against a real broker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from pipeline.core.errors import SinkUnavailable
from pipeline.core.messages import SCHEMA, json_schema
from sinks.mqtt import Access, MqttSink
from tests.services.contract import CHECKS, Subject
from tests.services.mqtt_servers import Listener, OldBroker, deliver, mosquitto
from tests.services.needed import need
from tests.services.servers import Server, free_port
from tests.services.streams import outgoing

need("mosquitto")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = mosquitto(tmp_path_factory.mktemp("mosquitto"))
    started.start()
    yield started
    started.stop()


BrokerMaker = Callable[..., Server]


def _access(broker: Server, **more: Any) -> Access:
    return Access("127.0.0.1", broker.port, f"test-{uuid4().hex[:8]}", timeout_s=5, **more)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_contract(broker: Server, qos: Any, check: Callable[[Subject], None]) -> None:
    run = uuid4().hex
    with Listener(broker.port) as listener:

        def read(_: Sequence[str]) -> dict[str, list[bytes]]:
            listener.catch_up()
            bodies: dict[str, list[bytes]] = {}
            for body in listener.bodies(run):
                bodies.setdefault(json.loads(body)["stream_id"], []).append(body)
            return bodies

        def make() -> MqttSink:
            topic = f"{run}/{{stream_id}}/{{kind}}"
            return MqttSink(_access(broker), topic, status_topic=None, qos=qos)

        check(Subject(make, read))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_topics_properties_and_what_is_kept(broker: Server, protocol: Any) -> None:
    run = uuid4().hex
    messages = outgoing(["gate", "rtsp://cam/1+#"], frames=4)
    access = _access(broker, protocol=protocol)
    topic, kept = f"{run}/{{stream_id}}/{{kind}}", f"{run}/{{stream_id}}/status"
    sink = MqttSink(access, topic, status_topic=kept)
    with Listener(broker.port) as listener:
        sink.open()
        sink.write(messages)
        sink.flush(10)
        sink.close()
        listener.catch_up()
        heard = [each for each in listener.messages if each.topic.startswith(run)]
    assert sink.delivered_total == len(messages)
    told = [each for each in heard if not each.topic.endswith("/status")]
    validator = Draft202012Validator(json_schema())
    for got, message in zip(told, messages, strict=True):
        level = {"gate": "gate", "rtsp://cam/1+#": "rtsp:%2F%2Fcam%2F1%2B%23"}[message.key]
        assert got.topic == f"{run}/{level}/{message.kind}"
        assert got.payload == message.body
        validator.validate(json.loads(got.payload))
        if protocol == "5":
            properties: Any = got.properties
            assert properties.ContentType == "application/json"
            assert dict(properties.UserProperty) == {
                "schema": SCHEMA, "kind": message.kind, "message_id": message.message_id,
            }  # fmt: skip
    with Listener(broker.port) as late:
        late.catch_up()
        assert late.kept()[f"{run}/gate/status"] == messages[-2].body


def test_presence_and_last_will(broker: Server) -> None:
    topic = f"{uuid4().hex}/presence"
    code = (
        "import sys, time; from sinks.mqtt import Access, MqttSink\n"
        "sink = MqttSink(Access('127.0.0.1', int(sys.argv[1]), 'doomed', presence=sys.argv[2]))\n"
        "sink.open(); time.sleep(60)"
    )
    with Listener(broker.port) as listener:
        sink = MqttSink(_access(broker, presence=topic))
        sink.open()
        listener.wait_for(lambda each: each.bodies(topic) == [b"online"])
        sink.close()
        listener.wait_for(lambda each: each.bodies(topic) == [b"online", b"offline"])
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(broker.port), topic],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        listener.wait_for(lambda each: each.bodies(topic)[2:] == [b"online"])
        process.send_signal(signal.SIGKILL)
        process.wait()
        listener.wait_for(lambda each: each.bodies(topic)[2:] == [b"online", b"offline"])
    with Listener(broker.port) as late:
        late.catch_up()
        assert late.kept()[topic] == b"offline"


@pytest.mark.parametrize("hangs_up", [False, True])
def test_an_old_broker_gets_3_1_1(broker: Server, hangs_up: bool) -> None:
    run, messages = uuid4().hex, outgoing(["gate"], frames=3)
    old = OldBroker(broker.port, hangs_up=hangs_up)
    access = replace(_access(broker), port=old.port)
    with Listener(broker.port) as listener:
        sink = MqttSink(access, f"{run}/{{stream_id}}", status_topic=None)
        sink.open()
        sink.write(messages)
        sink.flush(5)
        sink.close()
        listener.catch_up()
        assert listener.bodies(run) == [each.body for each in messages]
    with pytest.raises(SinkUnavailable):
        MqttSink(replace(access, protocol="5")).open()
    old.close()


def test_a_client_id_that_another_takes_is_not_taken_back_at_once(broker: Server) -> None:
    access = _access(broker)
    first, second = MqttSink(access), MqttSink(access)
    first.open()
    second.open()
    with pytest.raises(SinkUnavailable, match="the connection is gone"):
        _flush_until_it_fails(first)
    second.flush(5)
    second.close()
    first.close()


@pytest.mark.parametrize("limit", ["max_packet_size 4000", "message_size_limit 4000"])
def test_what_is_too_large_is_named_and_the_rest_goes(make_broker: BrokerMaker, limit: str) -> None:
    broker = make_broker(limit)
    messages = outgoing(["gate"], frames=8)
    huge = replace(messages[3], body=messages[3].body + b" " * 5000)
    sent = [*messages[:3], huge, *messages[4:]]
    with Listener(broker.port) as listener:
        sink = MqttSink(_access(broker), "{stream_id}", status_topic=None)
        sink.open()
        assert deliver(sink, sent) == [huge.message_id]
        sink.close()
        listener.catch_up()
        found = listener.bodies("gate")
    assert list(dict.fromkeys(found)) == [each.body for each in sent if each is not huge]


def test_nobody_listens() -> None:
    sink = MqttSink(Access("127.0.0.1", free_port(), "test", timeout_s=1), name="out")
    with pytest.raises(SinkUnavailable, match=r"^sink 'out': 127\.0\.0\.1:\d+: .*refused"):
        sink.open()
    sink.close()


def _flush_until_it_fails(sink: MqttSink, within_s: float = 20) -> None:
    """What a broker says between two calls is known once paho's thread has read it."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        sink.flush(5)
