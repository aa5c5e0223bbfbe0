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
from sinks.consume import kafka as reader
from sinks.consume.address import KafkaAddress, parse_address
from sinks.consume.base import Reading
from sinks.consume.bodies import read_body
from sinks.kafka import Encoding, KafkaSink
from tests.services.servers import Server, create_topic
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


async def test_an_outage_is_said_once_and_nothing_is_missed(
    make_server: ServerMaker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_SILENT_S", 0.5)
    broker = await asyncio.to_thread(make_server, "kafka")
    create_topic(broker.port, "told", 1, {})
    messages, address = whole([True] * 30), f"127.0.0.1:{broker.port}"
    await asyncio.to_thread(produce, address, "told", messages[:10])
    got: dict[str | None, list[object]] = {"mine": [], None: []}

    async def listen(group: str | None) -> None:
        async for message in consume(f"kafka://{address}/told", group, timeout_s=3):
            got[group].append(message)

    listening = [asyncio.create_task(listen(group)) for group in got]
    await until(lambda: all(len(found) == 10 for found in got.values()))
    await asyncio.to_thread(broker.kill)
    await until(lambda: caplog.text.count("trying again until it is there") == 2)
    await asyncio.to_thread(broker.start)
    await asyncio.to_thread(produce, address, "told", messages[10:])
    await until(lambda: all(len(found) >= len(messages) for found in got.values()))
    for task in listening:
        task.cancel()
    assert got == {"mine": messages, None: messages}
    assert caplog.text.count("trying again until it is there") == 2


async def until(holds: Callable[[], bool], within_s: float = 90.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.02)


def test_a_reader_that_connects_again_goes_on_where_it_was(
    kafka_broker: str, make_topic: TopicMaker
) -> None:
    topic, messages = make_topic(partitions=2), whole([True] * 9)
    address = parse_address(f"kafka://{kafka_broker}/{topic}")
    assert isinstance(address, KafkaAddress)
    reading = reader.KafkaReader(address, Reading(begin="newest"))
    produce(kafka_broker, topic, [frame(seq, stream="yard") for seq in range(3)])
    reading.open()
    reading.close()
    produce(kafka_broker, topic, messages)
    reading.open()
    got = []
    while not reading.exhausted:
        got += [read_body(record.body) for record in reading.read(1)]
    reading.close()
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


async def test_a_server_that_is_no_broker_is_told_at_the_first_connection(
    redis_server: str,
) -> None:
    port = redis_server.partition("127.0.0.1:")[2].partition("/")[0]
    with pytest.raises(ConsumeUnavailable, match=rf"127\.0\.0\.1:{port}.*no Kafka broker"):
        async for _ in consume(f"kafka://127.0.0.1:{port}/told", timeout_s=1):
            pass
