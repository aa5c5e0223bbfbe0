"""Reading back what a Kafka topic holds."""

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from pipeline.core.messages import decode


def records(broker: str, topic: str, *, committed: bool = False) -> list[ConsumerRecord]:
    """All that the topic holds, each partition in order; with `committed`, as a consumer of
    committed transactions sees it."""
    isolation = "read_committed" if committed else "read_uncommitted"
    consumer = KafkaConsumer(
        bootstrap_servers=broker, enable_auto_commit=False, isolation_level=isolation
    )
    parts = [TopicPartition(topic, part) for part in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(parts)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(parts)
    found: list[ConsumerRecord] = []
    while any(consumer.position(part) < ends[part] for part in parts):
        for batch in consumer.poll(timeout_ms=500).values():
            found += batch
    consumer.close()
    return found


def bodies(broker: str, topic: str, *, committed: bool = False) -> dict[str, list[bytes]]:
    """The values by key, each key in order."""
    found: dict[str, list[bytes]] = {}
    for record in records(broker, topic, committed=committed):
        found.setdefault(record.key.decode(), []).append(record.value)
    return found


def first_ids(bodies_by_stream: dict[str, list[bytes]]) -> dict[str, list[str]]:
    """Message ids by stream in order of first arrival, as a consumer keeps them."""
    return {
        stream: list(dict.fromkeys(decode(body).message_id for body in stream_bodies))
        for stream, stream_bodies in bodies_by_stream.items()
    }
