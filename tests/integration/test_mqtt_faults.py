"""MQTT brokers that die, freeze and refuse: what was written is delivered, or said not to be."""

import contextlib
import logging
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pipeline.core.errors import Rejected, SinkUnavailable
from sinks.mqtt import Access, MqttSink
from sinks.tls import Tls
from tests.services.certificates import Authority
from tests.services.contract import SECRET
from tests.services.mqtt_servers import Listener, deliver
from tests.services.needed import need
from tests.services.servers import Server, free_port
from tests.services.streams import bodies_by_stream, outgoing

need("mosquitto", "mosquitto_passwd", "openssl")

BrokerMaker = Callable[..., Server]
STREAMS = ("gate", "yard")


def _access(broker: Server, **more: Any) -> Access:
    given: dict[str, Any] = {"client_id": f"test-{uuid4().hex[:8]}", "timeout_s": 1} | more
    return Access("127.0.0.1", broker.port, **given)


def _stop(broker: Server) -> None:
    broker.stop()


def _kill(broker: Server) -> None:
    broker.kill()


@pytest.mark.parametrize("end", [_stop, _kill], ids=["stopped", "killed"])
def test_a_broker_that_dies_under_load_and_returns(
    make_broker: BrokerMaker, end: Callable[[Server], None]
) -> None:
    """The listener is back before we write again, so what it lacks we have not sent."""
    broker, messages = make_broker(), outgoing(STREAMS, frames=300)
    with Listener(broker.port) as listener:
        sink = MqttSink(_access(broker), "{stream_id}", status_topic=None)
        sink.open()
        deliver(sink, messages[:100])
        sink.write(messages[100:300])
        end(broker)
        with contextlib.suppress(SinkUnavailable):  # it may have confirmed all before it ended
            sink.flush(5)
            assert sink.delivered_total == 300
        with pytest.raises(SinkUnavailable):
            sink.write(messages[300:])
        broker.start()
        listener.wait_for(lambda each: each.subscriptions > 1)
        deliver(sink, messages[300:])
        assert sink.delivered_total == len(messages)
        sink.close()
        listener.catch_up()
        found = {each: list(dict.fromkeys(listener.bodies(each))) for each in STREAMS}
    assert found == bodies_by_stream(messages)


def test_a_broker_that_freezes_under_load(make_broker: BrokerMaker) -> None:
    broker, messages = make_broker(), outgoing(STREAMS, frames=300)
    with Listener(broker.port) as listener:
        sink = MqttSink(_access(broker), "{stream_id}", status_topic=None)
        sink.open()
        sink.write(messages[:100])
        broker.pause()
        sink.write(messages[100:])
        with pytest.raises(SinkUnavailable, match="are not confirmed yet"):
            sink.flush(0.2)
        broker.resume()
        sink.flush(20)
        sink.close()
        listener.catch_up()
        found = {each: listener.bodies(each) for each in STREAMS}
    assert found == bodies_by_stream(messages)


def test_leaving_a_frozen_broker_takes_seconds_and_ends_the_thread(
    make_broker: BrokerMaker,
) -> None:
    broker = make_broker()
    sink = MqttSink(_access(broker))
    before = threading.active_count()
    sink.open()
    broker.pause()
    sink.write(outgoing(STREAMS, frames=100))
    sink.close()
    assert threading.active_count() == before


@pytest.fixture
def guarded(make_broker: BrokerMaker, tmp_path: Path) -> Server:
    """Knows the user `eyrie`, who may write below `eyrie/` only."""
    users, rights = tmp_path / "users", tmp_path / "rights"
    command = ["mosquitto_passwd", "-c", "-b", str(users), "eyrie", SECRET]
    subprocess.run(command, check=True, capture_output=True)
    rights.write_text("user eyrie\ntopic write eyrie/#\n")
    return make_broker("allow_anonymous false", f"password_file {users}", f"acl_file {rights}")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize(
    ("user", "password"), [("eyrie", f"not-{SECRET}"), (None, None), (f"not-{SECRET}", SECRET)]
)
def test_a_wrong_password(guarded: Server, protocol: Any, user: Any, password: Any) -> None:
    sink = MqttSink(_access(guarded, user=user, password=password, protocol=protocol))
    with pytest.raises(Rejected, match=r"Not authorized|Bad user") as raised:
        sink.open()
    sink.close()
    assert not raised.value.message_ids


def test_a_topic_that_is_forbidden_refuses_the_sink_and_no_message(guarded: Server) -> None:
    access = _access(guarded, user="eyrie", password=SECRET)
    sink = MqttSink(access, "cameras/{stream_id}", status_topic=None)
    sink.open()
    sink.write(outgoing(["gate"], frames=2))
    # mosquitto hangs up after its refusal. A second message on its way then may fail before the
    # refusal is read; so they go one by one from there on.
    with pytest.raises((Rejected, SinkUnavailable), match=r"Not authorized|connection is gone"):
        sink.flush(5)
    for _ in range(2):  # it is said again, and nothing is let go
        with pytest.raises(Rejected, match="topic 'cameras/gate': Not authorized") as raised:
            sink.flush(5)
        assert not raised.value.message_ids
    sink.close()
    assert sink.delivered_total == 0
    with pytest.raises(Rejected, match="topic 'cameras/presence': Not authorized"):
        MqttSink(replace(access, presence="cameras/presence")).open()


def test_certificates(make_broker: BrokerMaker, tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    shown, named = ours.certificate(), ours.certificate("DNS:example.org")
    broker, stranger = make_broker(shown=shown), make_broker(shown=named)
    messages = outgoing(["gate"], frames=2)
    sink = MqttSink(_access(broker, tls=Tls(ca=ours.file)))
    sink.open()
    deliver(sink, messages)
    sink.close()
    assert sink.delivered_total == len(messages)
    for server, tls, why in (
        (broker, Tls(ca=theirs.file), "certificate verify failed"),
        (broker, Tls(), "certificate verify failed"),
        (stranger, Tls(ca=ours.file), "certificate is not valid for '127.0.0.1'"),
        (broker, Tls(ca=tmp_path / "nowhere.pem"), "there is no file"),
    ):
        with pytest.raises(Rejected, match=why):
            MqttSink(_access(server, tls=tls)).open()


def test_secrets_are_nowhere(guarded: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    for port, password in ((guarded.port, f"not-{SECRET}"), (free_port(), SECRET)):
        access = Access("127.0.0.1", port, "test", "eyrie", password, timeout_s=1)
        sink = MqttSink(access)
        with pytest.raises((Rejected, SinkUnavailable)) as raised:
            sink.open()
        sink.close()
        said += [str(raised.value), repr(raised.value), repr(sink), repr(access), str(access)]
    said += [record.getMessage() for record in caplog.records]
    assert not [text for text in said if SECRET in text]
