"""`consume` and `eyrie verify` on a real Kafka: groups, resuming, an outage, cancellation."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, TopicPartition

from pipeline.core.messages import Message
from sinks.base import Outgoing
from sinks.consume import ConsumeError, ConsumeUnavailable, Gap, consume
from sinks.kafka import Encoding, KafkaSink
from tests.services.servers import Server, create_topic, free_port
from tests.sinks.consume.told import frame, whole

# kafka-python leaves sockets of failed connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

ROOT = Path(__file__).resolve().parents[2]
EYRIE = (sys.executable, "-c", "from pipeline.cli import main; main()")
TopicMaker = Callable[..., str]
ServerMaker = Callable[[str], Server]


def produce(broker: str, topic: str, messages: Sequence[Message]) -> None:
    sink = KafkaSink([broker], topic)
    sink.open()
    try:
        sink.write([Outgoing.of(message) for message in messages])
        sink.flush(20)
    finally:
        sink.close()


def committed(broker: str, topic: str, group: str) -> int:
    consumer = KafkaConsumer(bootstrap_servers=broker, group_id=group)
    try:
        return sum(
            consumer.committed(TopicPartition(topic, part)) or 0
            for part in consumer.partitions_for_topic(topic)
        )
    finally:
        consumer.close()


async def test_every_message_comes_once_and_gaps_are_told(
    kafka_broker: str, make_topic: TopicMaker
) -> None:
    topic, messages = make_topic(), whole([True] * 20)
    yard = [frame(seq, stream="yard") for seq in (0, 1, 5)]
    produce(kafka_broker, topic, [*messages, *messages[:7], *yard])
    consumer = consume(f"kafka://{kafka_broker}/{topic}", follow=False)
    got = [message async for message in consumer]
    assert [m for m in got if m.stream_id == "gate"] == messages
    assert [m for m in got if m.stream_id == "yard"] == [
        *yard[:2], Gap("run-1", "yard", 0, 2, 4), yard[2],
    ]  # fmt: skip
    assert consumer.account.duplicates == 7


async def test_a_group_resumes_where_it_was(kafka_broker: str, make_topic: TopicMaker) -> None:
    topic, group, messages = make_topic(partitions=1), uuid4().hex, whole([True] * 30)
    url = f"kafka://{kafka_broker}/{topic}"
    produce(kafka_broker, topic, messages)
    done: list[object] = []
    async with consume(url, group) as first:
        async for message in first:
            if len(done) == 12:
                break
            done.append(message)
    assert committed(kafka_broker, topic, group) == 12
    async with consume(url, group, follow=False) as second:
        done += [message async for message in second]
    assert done == messages
    assert committed(kafka_broker, topic, group) == len(messages)


async def test_a_consumer_outlives_its_broker(make_server: ServerMaker) -> None:
    broker = make_server("kafka")
    create_topic(broker.port, "told", 1, {})
    messages = whole([True] * 30)
    produce(f"127.0.0.1:{broker.port}", "told", messages[:10])
    got: list[object] = []
    async with consume(f"kafka://127.0.0.1:{broker.port}/told", uuid4().hex, timeout_s=3) as told:
        async for message in told:
            got.append(message)
            if len(got) == 10:
                await asyncio.to_thread(broker.kill)
                await asyncio.to_thread(broker.start)
                await asyncio.to_thread(produce, f"127.0.0.1:{broker.port}", "told", messages[10:])
            if len(got) == len(messages):
                break
    assert got == messages


async def test_cancelling_closes_all(kafka_broker: str, make_topic: TopicMaker) -> None:
    topic, group = make_topic(partitions=1), uuid4().hex
    produce(kafka_broker, topic, whole([True] * 3))
    seen = asyncio.Event()

    async def work() -> None:
        async for message in consume(f"kafka://{kafka_broker}/{topic}", group):
            if message.kind == "end_of_stream":
                seen.set()

    task = asyncio.create_task(work())
    await asyncio.wait_for(seen.wait(), 30)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert task.cancelled()
    assert committed(kafka_broker, topic, group) >= 3


async def test_what_no_retry_helps_is_said_in_one_line(
    kafka_broker: str, make_topic: TopicMaker
) -> None:
    with pytest.raises(ConsumeError, match="there is no topic 'nowhere'; correct the name"):
        async for _ in consume(f"kafka://{kafka_broker}/nowhere"):
            pass


def test_verify_proves_a_topic(kafka_broker: str, make_topic: TopicMaker, tmp_path: Path) -> None:
    topic, messages = make_topic(), whole([True] * 40)
    lost = [message for message in messages if message.kind != "frame" or message.seq not in (7, 8)]
    produce(kafka_broker, topic, [*lost, *lost[:9]])

    def verify(*more: str) -> "subprocess.CompletedProcess[str]":
        command = [*EYRIE, "verify", f"kafka://{kafka_broker}/{topic}", *more]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    lacking = verify()
    assert lacking.returncode == 1, lacking.stderr
    assert "missing: gate (run run-1), epoch 0: seq 7 to 8 (2 frames)" in lacking.stdout
    produce(kafka_broker, topic, [m for m in messages if m not in lost])
    result = verify("--json", "--strict")
    told = json.loads(result.stdout)
    (stream,) = told["streams"]
    assert stream["holes"] == []
    assert stream["duplicates"] == 9
    assert stream["out_of_order"] == 2
    assert result.returncode == 1, "late frames break the order of the key"


@pytest.mark.parametrize("how", ["transactions", "avro"])
async def test_transactions_and_avro_are_read_too(
    kafka_broker: str, make_topic: TopicMaker, how: str
) -> None:
    if how == "avro":
        pytest.importorskip("fastavro")
    topic, messages = make_topic(partitions=1), whole([True, False] * 20)
    encoding = Encoding.avro("kafka") if how == "avro" else Encoding.json()
    transactional = uuid4().hex if how == "transactions" else None
    sink = KafkaSink([kafka_broker], topic, encoding=encoding, transactional_id=transactional)
    sink.open()
    sink.write([Outgoing.of(message) for message in messages])
    sink.flush(20)
    sink.close()
    consumer = consume(f"kafka://{kafka_broker}/{topic}", follow=False)
    assert [message async for message in consumer] == messages


def test_verify_says_that_a_broker_is_away() -> None:
    command = [*EYRIE, "verify", f"kafka://127.0.0.1:{free_port()}/told"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 3
    assert result.stderr.strip().startswith("eyrie: kafka://127.0.0.1:")
    assert "Traceback" not in result.stderr


def test_unavailable_is_worth_a_retry() -> None:
    assert ConsumeUnavailable("x", "y").retryable
    assert not ConsumeError("x", "y").retryable
