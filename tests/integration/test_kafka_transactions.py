"""The Kafka sink's transactions: what a consumer of committed messages sees."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from pipeline.core.errors import Rejected, SinkGone, SinkUnavailable
from sinks.base import Outgoing
from sinks.kafka import KafkaSink
from sinks.kafka.open_client import ClientName
from tests.services.kafka_records import bodies
from tests.services.streams import bodies_by_stream, outgoing

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

TopicMaker = Callable[..., str]
SinkMaker = Callable[[str], KafkaSink]
CLIENTS: tuple[ClientName, ...] = ("kafka-python", "confluent")


@pytest.fixture(params=CLIENTS)
def make_sink(request: pytest.FixtureRequest, kafka_broker: str) -> SinkMaker:
    transactional_id = uuid4().hex

    def make(topic: str) -> KafkaSink:
        sink = KafkaSink(
            [kafka_broker], topic, "out", 20, client=request.param,
            transactional_id=transactional_id,
        )  # fmt: skip
        sink.open()
        return sink

    return make


def test_nothing_is_seen_before_the_flush(
    kafka_broker: str, make_topic: TopicMaker, make_sink: SinkMaker
) -> None:
    topic = make_topic()
    first, second = outgoing(["gate"], frames=5), outgoing(["yard"], frames=5)
    sink = make_sink(topic)
    sink.write(first)
    sink.flush(20)
    assert bodies(kafka_broker, topic, committed=True) == bodies_by_stream(first)
    sink.write(second)
    with pytest.raises(SinkUnavailable):
        sink.flush(0)
    seen = bodies(kafka_broker, topic, committed=True, while_open=True)
    assert seen == bodies_by_stream(first)
    sink.flush(20)
    assert sink.delivered_total == len(first) + len(second)
    assert bodies(kafka_broker, topic, committed=True) == bodies_by_stream([*first, *second])
    sink.close()


def test_what_a_closed_sink_left_open_is_undone(
    kafka_broker: str, make_topic: TopicMaker, make_sink: SinkMaker
) -> None:
    topic = make_topic()
    messages = outgoing(["gate", "yard"], frames=5)
    sink = make_sink(topic)
    sink.write(messages)
    _wait_until_sent(kafka_broker, topic)
    sink.close()
    assert sink.pending == len(messages)
    again = make_sink(topic)
    again.write(messages)
    again.flush(20)
    again.close()
    assert bodies(kafka_broker, topic, committed=True) == bodies_by_stream(messages)
    assert bodies(kafka_broker, topic) != bodies_by_stream(messages)


def _wait_until_sent(broker: str, topic: str) -> None:
    """The pytest time limit is the deadline."""
    while not bodies(broker, topic):
        pass


def test_a_refused_message_makes_no_duplicates(
    kafka_broker: str, make_topic: TopicMaker, make_sink: SinkMaker
) -> None:
    topic = make_topic(partitions=1)
    messages = outgoing(["gate", "yard"], frames=10)
    bad = Outgoing("frame", "yard", uuid4().hex, b"x" * 9000)
    sink = make_sink(topic)
    limit = {"max.message.bytes": "6000"}
    with KafkaAdminClient(bootstrap_servers=kafka_broker) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, limit)])
    sink.write([*messages[:8], bad, *messages[8:]])
    with pytest.raises(Rejected) as raised:
        sink.flush(60)
    sink.close()
    assert raised.value.message_ids == (bad.message_id,)
    assert bodies(kafka_broker, topic, committed=True) == bodies_by_stream(messages)


def test_the_newest_of_two_sinks_stays(
    kafka_broker: str, make_topic: TopicMaker, make_sink: SinkMaker
) -> None:
    topic = make_topic()
    lost, kept = outgoing(["gate"], frames=5), outgoing(["yard"], frames=5)
    older = make_sink(topic)
    older.write(lost)
    newer = make_sink(topic)
    with pytest.raises(SinkGone, match="another process writes under this sink's name"):
        older.flush(20)
    older.close()
    newer.write(kept)
    newer.flush(20)
    newer.close()
    assert bodies(kafka_broker, topic, committed=True) == bodies_by_stream(kept)
