"""Reading back what a Kafka topic holds."""

import time
from collections.abc import Sequence
from contextlib import closing

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from pipeline.core.messages import decode


def records(
    broker: str, topic: str, *, committed: bool = False, while_open: bool = False
) -> list[ConsumerRecord]:
    """All that the topic holds, each partition in order; with `committed`, as a consumer of
    committed transactions sees it once all are over, or `while_open`, as it does now."""
    isolation = "read_committed" if committed else "read_uncommitted"
    consumer = KafkaConsumer(
        bootstrap_servers=broker, enable_auto_commit=False, isolation_level=isolation
    )
    parts = [TopicPartition(topic, part) for part in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(parts)
    consumer.seek_to_beginning()
    if committed and not while_open:
        _wait_until_over(consumer, broker, parts)
    ends = consumer.end_offsets(parts)
    found: list[ConsumerRecord] = []
    while any(consumer.position(part) < ends[part] for part in parts):
        for batch in consumer.poll(timeout_ms=500).values():
            found += batch
    consumer.close()
    return found


def _wait_until_over(
    consumer: KafkaConsumer, broker: str, parts: Sequence[TopicPartition], within_s: float = 30.0
) -> None:
    """A commit is answered before the broker has marked it in every partition."""
    deadline_s = time.monotonic() + within_s
    with closing(KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False)) as all_seeing:
        while consumer.end_offsets(parts) != all_seeing.end_offsets(parts):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"a transaction is not over within {within_s:g} s")
            time.sleep(0.02)


def bodies(
    broker: str, topic: str, *, committed: bool = False, while_open: bool = False
) -> dict[str, list[bytes]]:
    """The values by key, each key in order; as `records` finds them."""
    found: dict[str, list[bytes]] = {}
    for record in records(broker, topic, committed=committed, while_open=while_open):
        found.setdefault(record.key.decode(), []).append(record.value)
    return found


def first_ids(bodies_by_stream: dict[str, list[bytes]]) -> dict[str, list[str]]:
    """Message ids by stream in order of first arrival, as a consumer keeps them."""
    return {
        stream: list(dict.fromkeys(decode(body).message_id for body in stream_bodies))
        for stream, stream_bodies in bodies_by_stream.items()
    }
