"""The Kafka sink against a real broker."""

import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from pipeline.core.errors import Backpressure, Rejected, SinkUnavailable
from pipeline.core.messages import SCHEMA, decode, json_schema
from sinks.base import Outgoing
from sinks.kafka import KafkaSink
from tests.services.contract import CHECKS, SECRET, Subject
from tests.services.servers import Server, create_topic, free_port
from tests.services.streams import bodies_by_stream, outgoing

# kafka-python leaves sockets of failed connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

TopicMaker = Callable[..., str]
ServerMaker = Callable[[str], Server]


def _records(broker: str, topic: str) -> list[ConsumerRecord]:
    """All that the topic holds, each partition in order."""
    consumer = KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False)
    parts = [TopicPartition(topic, part) for part in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(parts)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(parts)
    records: list[ConsumerRecord] = []
    while any(consumer.position(part) < ends[part] for part in parts):
        for batch in consumer.poll(timeout_ms=500).values():
            records += batch
    consumer.close()
    return records


def _read(broker: str, topic: str) -> dict[str, list[bytes]]:
    bodies: dict[str, list[bytes]] = {}
    for record in _records(broker, topic):
        bodies.setdefault(record.key.decode(), []).append(record.value)
    return bodies


def _open(broker: str, topic: str, most_pending: int = 10_000) -> KafkaSink:
    sink = KafkaSink([broker], topic, connect_timeout_s=20, most_pending=most_pending)
    sink.open()
    return sink


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(
    kafka_broker: str, make_topic: TopicMaker, check: Callable[[Subject], None]
) -> None:
    topic = make_topic()
    check(
        Subject(
            lambda: KafkaSink([kafka_broker], topic, connect_timeout_s=20),
            lambda _: _read(kafka_broker, topic),
        )
    )


def test_every_record_is_a_message_on_the_contract(
    kafka_broker: str, make_topic: TopicMaker
) -> None:
    topic = make_topic()
    messages = outgoing(["gate", "yard", "ünïcode"], frames=30)
    sink = _open(kafka_broker, topic)
    sink.write(messages)
    sink.flush(20)
    sink.close()
    records = _records(kafka_broker, topic)
    assert sink.delivered_total == len(records) == len(messages)
    validator = Draft202012Validator(json_schema())
    for record in records:
        message = decode(record.value)
        validator.validate(message.model_dump(mode="json"))
        assert record.key.decode() == message.stream_id
        assert dict(record.headers) == {
            "schema": SCHEMA.encode(),
            "content-type": b"application/json",
            "kind": message.kind.encode(),
            "message-id": message.message_id.encode(),
        }


def test_a_broker_that_restarts_loses_and_doubles_nothing(make_server: ServerMaker) -> None:
    server = make_server("kafka")
    broker, topic = f"127.0.0.1:{server.port}", "test"
    create_topic(server.port, topic, 3, {})
    messages = outgoing(["gate", "yard", "dock"], frames=40)
    sink = _open(broker, topic)
    sink.write(messages[:40])
    server.stop()
    sink.write(messages[40:80])
    with pytest.raises(SinkUnavailable, match=r"messages not acknowledged after 0\.5 s: .*REFUSED"):
        sink.flush(0.5)
    server.start()
    sink.write(messages[80:])
    sink.flush(30)
    assert (sink.delivered_total, sink.pending) == (len(messages), 0)
    assert _read(broker, topic) == bodies_by_stream(messages)
    server.kill()
    sink.write(messages[:3])
    begin_s = time.monotonic()
    sink.close()
    assert time.monotonic() - begin_s < 2
    assert sink.pending == 3


def test_a_message_too_large_for_the_broker_takes_no_other_with_it(
    kafka_broker: str, make_topic: TopicMaker
) -> None:
    topic = make_topic(partitions=2, **{"max.message.bytes": "3000"})
    messages = outgoing(["gate", "yard", "dock"], frames=10)
    bad = [Outgoing("frame", "yard", uuid4().hex, b"x" * size) for size in (5000, 4000)]
    sink = _open(kafka_broker, topic)
    sink.write([*messages[:9], bad[0], *messages[9:15], bad[1], *messages[15:]])
    with pytest.raises(Rejected, match=f"{bad[0].message_id}, {bad[1].message_id}: .*TooLarge"):
        sink.flush(30)
    sink.flush(1)
    sink.close()
    assert (sink.delivered_total, sink.rejected_total) == (len(messages), 2)
    assert _ids(_read(kafka_broker, topic)) == _ids(bodies_by_stream(messages))


def _ids(bodies: dict[str, list[bytes]]) -> dict[str, list[str]]:
    """Message ids by stream, the second of a pair left out, as a consumer would."""
    return {
        stream: list(dict.fromkeys(decode(body).message_id for body in stream_bodies))
        for stream, stream_bodies in bodies.items()
    }


def test_what_cannot_be_sent_takes_nothing(kafka_broker: str, make_topic: TopicMaker) -> None:
    topic = make_topic()
    small, large = outgoing(["gate"], 0)[0], Outgoing("frame", "gate", "f" * 32, b"x" * 1_000_001)
    sink = _open(kafka_broker, topic, most_pending=10)
    with pytest.raises(Rejected, match=f"{large.message_id} of stream 'gate': 1000001 bytes"):
        sink.write([small, large])
    assert sink.pending == 0
    crowd = outgoing(["gate", "yard"], frames=100)
    sink.write(crowd)
    with pytest.raises(Backpressure) as raised:
        sink.write(crowd)
    assert raised.value.retry_after_s > 0
    sink.flush(20)
    sink.close()
    assert _read(kafka_broker, topic) == bodies_by_stream(crowd)


def _failure(sink: KafkaSink, kind: type[Exception], within_s: float) -> str:
    begin_s = time.monotonic()
    with pytest.raises(kind) as raised:
        sink.open()
    assert time.monotonic() - begin_s < within_s
    sink.close()
    text = str(raised.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


def test_nobody_listens(capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    sink = KafkaSink([f"127.0.0.1:{port}"], "test", name="out", connect_timeout_s=1)
    text = _failure(sink, SinkUnavailable, within_s=2)
    assert text.startswith(f"sink 'out': 127.0.0.1:{port}: ")
    assert "REFUSED" in text
    assert capfd.readouterr() == ("", "")


def test_a_host_without_address() -> None:
    sink = KafkaSink(["nowhere.invalid:9092"], "test", connect_timeout_s=1)
    assert "DNS" in _failure(sink, SinkUnavailable, within_s=4)


@pytest.mark.parametrize(
    ("topic", "why"), [("missing", "'missing' does not exist"), ("no good!", "illegal")]
)
def test_a_topic_that_is_not_there(kafka_broker: str, topic: str, why: str) -> None:
    sink = KafkaSink([kafka_broker], topic, connect_timeout_s=2)
    assert why in _failure(sink, Rejected, within_s=3)


def test_a_broker_that_knows_no_passwords(kafka_broker: str) -> None:
    sink = KafkaSink([kafka_broker], "test", connect_timeout_s=2, username="eyrie", password=SECRET)
    assert "Sasl" in _failure(sink, Rejected, within_s=3)


def test_sinks_hear_only_their_own_errors(kafka_broker: str, make_topic: TopicMaker) -> None:
    good = _open(kafka_broker, make_topic())
    bad = KafkaSink([f"127.0.0.1:{free_port()}"], "test", connect_timeout_s=1)
    _failure(bad, SinkUnavailable, within_s=2)
    good.write(outgoing(["gate"], frames=1))
    with pytest.raises(SinkUnavailable) as raised:
        good.flush(0)
    assert "REFUSED" not in str(raised.value)
    good.flush(20)
    good.close()
