"""The Kafka sink against a real broker, by both clients."""

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator
from kafka import KafkaAdminClient

from pipeline.core.avro import CONTENT_TYPE, decode_avro
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from pipeline.core.messages import SCHEMA, Kind, decode, json_schema
from sinks.base import Outgoing
from sinks.kafka import Access, Creation, Encoding, KafkaSink, Tuning
from sinks.kafka.client import Compression
from sinks.kafka.open_client import ClientName
from tests.services.contract import CHECKS, SECRET, Subject
from tests.services.kafka_records import bodies, first_ids, records
from tests.services.servers import free_port
from tests.services.streams import bodies_by_stream, outgoing

# kafka-python leaves sockets of failed connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

TopicMaker = Callable[..., str]
CLIENTS: tuple[ClientName, ...] = ("kafka-python", "confluent")


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> ClientName:
    chosen: ClientName = request.param
    return chosen


def _open(broker: str, topic: str, client: ClientName, tuning: Tuning | None = None) -> KafkaSink:
    sink = KafkaSink([broker], topic, connect_timeout_s=20, client=client, tuning=tuning)
    sink.open()
    return sink


@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(
    kafka_broker: str,
    make_topic: TopicMaker,
    client: ClientName,
    check: Callable[[Subject], None],
    transactional: bool,
) -> None:
    topic = make_topic()
    transactional_id = uuid4().hex if transactional else None
    access = Access(password=SECRET)
    check(
        Subject(
            lambda: KafkaSink(
                [kafka_broker], topic, connect_timeout_s=20, client=client, access=access,
                transactional_id=transactional_id,
            ),
            lambda _: bodies(kafka_broker, topic, committed=True),
        )
    )  # fmt: skip


def test_every_record_is_a_message_on_the_contract(
    kafka_broker: str, make_topic: TopicMaker, client: ClientName
) -> None:
    topic = make_topic()
    messages = outgoing(["gate", "yard", "ünïcode"], frames=30)
    sink = _open(kafka_broker, topic, client)
    sink.write(messages)
    sink.flush(20)
    sink.close()
    found = records(kafka_broker, topic)
    assert sink.delivered_total == len(found) == len(messages)
    validator = Draft202012Validator(json_schema())
    for record in found:
        message = decode(record.value)
        validator.validate(message.model_dump(mode="json"))
        assert record.key.decode() == message.stream_id
        headers = dict(record.headers)
        trace = headers.pop("traceparent").decode()
        assert headers == {
            "schema": SCHEMA.encode(),
            "content-type": b"application/json",
            "kind": message.kind.encode(),
            "message-id": message.message_id.encode(),
        }
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace)
        assert trace[3:35] == message.message_id


def test_both_clients_choose_the_same_partition(kafka_broker: str, make_topic: TopicMaker) -> None:
    topic = make_topic(partitions=5)
    messages = outgoing([f"cam-{n}" for n in range(20)], frames=0)
    for client in CLIENTS:
        sink = _open(kafka_broker, topic, client)
        sink.write(messages)
        sink.flush(20)
        sink.close()
    places: dict[bytes, set[int]] = {}
    for record in records(kafka_broker, topic):
        places.setdefault(record.key, set()).add(record.partition)
    assert len(places) == 20
    assert {len(parts) for parts in places.values()} == {1}


@pytest.mark.parametrize("compression", ["gzip", "lz4", "zstd"])
def test_compression(
    kafka_broker: str, make_topic: TopicMaker, client: ClientName, compression: Compression
) -> None:
    topic = make_topic()
    messages = outgoing(["gate", "yard"], frames=30)
    sink = _open(kafka_broker, topic, client, Tuning(compression=compression))
    sink.write(messages)
    sink.flush(20)
    sink.close()
    assert bodies(kafka_broker, topic) == bodies_by_stream(messages)


def test_avro(kafka_broker: str, make_topic: TopicMaker, client: ClientName) -> None:
    topic = make_topic()
    messages = outgoing(["gate"], frames=5)
    sink = KafkaSink([kafka_broker], topic, "out", 20, client=client, encoding=Encoding.avro("out"))
    sink.open()
    sink.write(messages)
    sink.flush(20)
    found = records(kafka_broker, topic)
    sink.close()
    assert [decode_avro(record.value) for record in found] == [decode(m.body) for m in messages]
    assert {dict(record.headers)["content-type"].decode() for record in found} == {CONTENT_TYPE}


def test_what_is_no_message_cannot_become_avro(
    kafka_broker: str, make_topic: TopicMaker, client: ClientName
) -> None:
    sink = KafkaSink(
        [kafka_broker], make_topic(), "out", 20, client=client, encoding=Encoding.avro("out")
    )
    sink.open()
    bad = Outgoing("frame", "gate", "f" * 32, b"{}")
    with pytest.raises(Rejected) as raised:
        sink.write([*outgoing(["gate"], frames=1), bad])
    sink.close()
    assert raised.value.message_ids == (bad.message_id,)
    assert sink.pending == 0


def test_a_topic_for_each_kind(
    kafka_broker: str, make_topic: TopicMaker, client: ClientName
) -> None:
    topics: dict[Kind, str] = {"frame": make_topic(), "stream_status": make_topic()}
    messages = outgoing(["gate", "yard"], frames=5)
    sink = KafkaSink([kafka_broker], topics, connect_timeout_s=20, client=client)
    sink.open()
    for kind, topic in topics.items():
        ours = [message for message in messages if message.kind == kind]
        sink.write(ours)
        sink.flush(20)
        assert bodies(kafka_broker, topic) == bodies_by_stream(ours)
    with pytest.raises(Rejected, match="no topic for the kind end_of_stream") as raised:
        sink.write(messages[-1:])
    sink.close()
    assert raised.value.message_ids == (messages[-1].message_id,)


def test_a_missing_topic_can_be_made(kafka_broker: str, client: ClientName) -> None:
    topic = f"made-{uuid4().hex}"
    sink = KafkaSink([kafka_broker], topic, "out", 20, client=client, create=Creation(4, 1))
    sink.open()
    messages = outgoing(["gate"], frames=2)
    sink.write(messages)
    sink.flush(20)
    sink.close()
    with KafkaAdminClient(bootstrap_servers=kafka_broker) as admin:
        (made,) = admin.describe_topics([topic])
    assert len(made["partitions"]) == 4
    assert bodies(kafka_broker, topic) == bodies_by_stream(messages)


def test_a_message_too_large_for_the_topic_is_refused_unsent(
    kafka_broker: str, make_topic: TopicMaker, client: ClientName
) -> None:
    sink = _open(kafka_broker, make_topic(**{"max.message.bytes": "3000"}), client)
    bad = Outgoing("frame", "yard", uuid4().hex, b"x" * 4000)
    with pytest.raises(Rejected, match="4000 bytes are more than") as raised:
        sink.write([bad])
    sink.close()
    assert raised.value.message_ids == (bad.message_id,)


def test_a_message_too_large_for_the_broker_takes_no_other_with_it(
    kafka_broker: str, make_topic: TopicMaker, client: ClientName
) -> None:
    topic = make_topic(partitions=2)
    messages = outgoing(["gate", "yard", "dock"], frames=10)
    bad = [Outgoing("frame", "yard", uuid4().hex, b"x" * size) for size in (5000, 4000)]
    sink = _open(kafka_broker, topic, client)
    _limit(kafka_broker, topic, 3000)
    sink.write([*messages[:9], bad[0], *messages[9:15], bad[1], *messages[15:]])
    with pytest.raises(Rejected) as raised:
        sink.flush(60)
    sink.flush(1)
    sink.close()
    assert set(raised.value.message_ids) == {message.message_id for message in bad}
    assert all(message.message_id in str(raised.value) for message in bad)
    assert (sink.delivered_total, sink.rejected_total) == (len(messages), 2)
    assert first_ids(bodies(kafka_broker, topic)) == first_ids(bodies_by_stream(messages))


def _limit(broker: str, topic: str, most_bytes: int) -> None:
    """Lower the topic's limit behind the sink's back."""
    from kafka.admin import ConfigResource, ConfigResourceType

    limit = {"max.message.bytes": str(most_bytes)}
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, limit)])


def test_what_cannot_be_sent_takes_nothing(
    kafka_broker: str, make_topic: TopicMaker, client: ClientName
) -> None:
    topic = make_topic()
    small, large = outgoing(["gate"], 0)[0], Outgoing("frame", "gate", "f" * 32, b"x" * 1_000_001)
    sink = _open(kafka_broker, topic, client, Tuning(most_pending=10))
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
    assert bodies(kafka_broker, topic) == bodies_by_stream(crowd)


def test_the_window_is_bounded_by_bytes_too(
    kafka_broker: str, make_topic: TopicMaker, client: ClientName
) -> None:
    sink = _open(kafka_broker, make_topic(), client, Tuning(most_pending_bytes=10_000))
    crowd = outgoing(["gate"], frames=20)
    sink.write(crowd)
    with pytest.raises(Backpressure):
        sink.write(crowd)
    sink.flush(20)
    sink.write(crowd)
    sink.flush(20)
    sink.close()
    assert sink.delivered_total == 2 * len(crowd)


def failure(sink: KafkaSink, kind: type[SinkError] = SinkError) -> str:
    """What `open` says: one line, without the password."""
    with pytest.raises(kind) as raised:
        sink.open()
    sink.close()
    text = str(raised.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


def test_nobody_listens(client: ClientName, capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    sink = KafkaSink([f"127.0.0.1:{port}"], "test", "out", 1, client=client)
    text = failure(sink, SinkUnavailable)
    assert text.startswith(f"sink 'out': 127.0.0.1:{port}: ")
    assert "connection refused" in text.lower()
    assert "ECONNREFUSED" not in text
    assert capfd.readouterr() == ("", "")


def test_a_host_without_address(client: ClientName) -> None:
    sink = KafkaSink(["nowhere.invalid:9092"], "test", "out", 1, client=client)
    assert re.search("DNS|resolve", failure(sink, SinkUnavailable))


@pytest.mark.parametrize(
    ("topic", "why"), [("missing", "'missing' does not exist: create it"), ("no good!", "nvalid")]
)
def test_a_topic_that_is_not_there(
    kafka_broker: str, client: ClientName, topic: str, why: str
) -> None:
    assert why in failure(KafkaSink([kafka_broker], topic, "out", 10, client=client), Rejected)


def test_a_broker_that_knows_no_passwords(kafka_broker: str, client: ClientName) -> None:
    sink = KafkaSink(
        [kafka_broker], "test", "out", 2, client=client, access=Access("eyrie", SECRET, "PLAIN")
    )
    assert re.search("Sasl|SASL", failure(sink, Rejected))


def test_sinks_hear_only_their_own_errors(
    kafka_broker: str, make_topic: TopicMaker, client: ClientName
) -> None:
    good = _open(kafka_broker, make_topic(), client)
    failure(KafkaSink([f"127.0.0.1:{free_port()}"], "test", "out", 1, client=client))
    good.write(outgoing(["gate"], frames=1))
    with pytest.raises(SinkUnavailable) as raised:
        good.flush(0)
    assert "refused" not in str(raised.value).lower()
    good.flush(20)
    good.close()
