"""Messages a second into a real Kafka broker on this machine, way by way.

    python -m benchmarks.kafka [--rounds 3] [--seconds 2] [--body 1000]

Every round sends the same number of messages by every way, one way after the other, to a topic of
three partitions, and measures from the first message to the last acknowledgement. Broker, spool and
sender share the cores. The way `kafka-python` is that library alone, with the same settings as the
sink's: idempotent, `acks=all`, the same batches and linger. Result: benchmarks/results/kafka.json.
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from kafka import KafkaProducer

from benchmarks.machine import describe
from pipeline.core.clock import SystemClock
from pipeline.core.errors import Backpressure
from pipeline.core.messages import decode
from pipeline.outlets.spooled import SpooledOutlet
from sinks.base import Outgoing
from sinks.kafka import Encoding, KafkaSink, Tuning
from sinks.kafka.open_client import ClientName
from sinks.kafka.record import to_record
from sinks.spool.settings import SpoolSettings
from sinks.spool.spool import Spool
from tests.services.servers import create_topic, kafka_broker
from tests.services.streams import outgoing

RESULT = Path(__file__).parent / "results" / "kafka.json"
STREAMS = 8
PER_WRITE = 256
Way = Callable[[str, str, Sequence[Outgoing]], float]
"""Broker, topic, messages: connects, then returns how many seconds it took until all were
acknowledged."""


def alone(broker: str, topic: str, messages: Sequence[Outgoing]) -> float:
    """kafka-python without us, its records like ours."""
    tuning = Tuning()
    producer = KafkaProducer(
        bootstrap_servers=broker,
        acks="all",
        enable_idempotence=True,
        linger_ms=tuning.linger_ms,
        batch_size=tuning.batch_bytes,
    )
    producer.partitions_for(topic)
    begin_s = time.perf_counter()
    for message in messages:
        record = to_record(message, topic, Encoding.json())
        producer.send(topic, record.value, record.key, record.headers)
    producer.flush()
    took_s = time.perf_counter() - begin_s
    producer.close()
    return took_s


def sink(client: ClientName) -> Way:
    """Our sink, written to as an outlet does."""

    def run(broker: str, topic: str, messages: Sequence[Outgoing]) -> float:
        kafka = KafkaSink([broker], topic, client=client, connect_timeout_s=30)
        kafka.open()
        begin_s = time.perf_counter()
        for start in range(0, len(messages), PER_WRITE):
            _write(kafka, messages[start : start + PER_WRITE])
        kafka.flush(120)
        took_s = time.perf_counter() - begin_s
        kafka.close()
        return took_s

    return run


def _write(kafka: KafkaSink, messages: Sequence[Outgoing]) -> None:
    while True:
        try:
            kafka.write(messages)
        except Backpressure:
            kafka.flush(120)
        else:
            return


def spooled(client: ClientName) -> Way:
    """From `offer` over the disk to the broker."""

    def run(broker: str, topic: str, messages: Sequence[Outgoing]) -> float:
        kafka = KafkaSink([broker], topic, client=client, connect_timeout_s=30)
        with tempfile.TemporaryDirectory() as folder:
            spool = Spool(Path(folder), SpoolSettings(), kafka.name)
            outlet = SpooledOutlet(kafka, spool, 1000, "block", SystemClock(), leave_after_s=120)
            outlet.open()
            told = decode(outgoing(["any"], 1)[1].body)
            begin_s = time.perf_counter()
            threads = [threading.Thread(target=loop, name=name) for name, loop in outlet.loops]
            for thread in threads:
                thread.start()
            for message in messages:
                outlet.offer(told, message)
            outlet.channel.close()
            for thread in threads:
                thread.join()
            took_s = time.perf_counter() - begin_s
            outlet.close()
            if outlet.report.acknowledged != len(messages):
                raise RuntimeError(f"not all arrived: {outlet.report}")
            return took_s

    return run


WAYS: dict[str, tuple[Way, int]] = {
    "kafka-python": (alone, 3000),
    "sink, kafka-python": (sink("kafka-python"), 3000),
    "spool + sink, kafka-python": (spooled("kafka-python"), 3000),
    "sink, confluent": (sink("confluent"), 25_000),
    "spool + sink, confluent": (spooled("confluent"), 25_000),
}
"""Each with about how many messages it sends a second."""


def made(count: int, body_bytes: int) -> list[Outgoing]:
    """Messages that do not compress, of several streams in turn."""
    body = os.urandom(body_bytes // 2).hex().encode()
    return [Outgoing("frame", f"cam-{n % STREAMS}", uuid4().hex, body) for n in range(count)]


def measure(rounds: int, seconds: float, body_bytes: int) -> dict[str, list[float]]:
    """Messages a second, by way and round."""
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        server = kafka_broker(Path(folder))
        server.start()
        try:
            for turn in range(rounds + 1):
                for name, (way, a_second) in WAYS.items():
                    messages = made(int(a_second * seconds / (1 if turn else 4)), body_bytes)
                    rate = _rate(server.port, way, messages)
                    if turn:  # The first one warms the broker up.
                        rates[name].append(rate)
        finally:
            server.stop()
    return rates


def _rate(port: int, way: Way, messages: Sequence[Outgoing]) -> float:
    topic = f"bench-{uuid4().hex}"
    create_topic(port, topic, 3, {})
    return len(messages) / way(f"127.0.0.1:{port}", topic, messages)


def main() -> None:
    parser = argparse.ArgumentParser(description="Throughput of the Kafka sink.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--body", type=int, default=1000)
    arguments = parser.parse_args()
    rates = measure(arguments.rounds, arguments.seconds, arguments.body)
    medians = {name: round(statistics.median(found)) for name, found in rates.items()}
    base = medians["kafka-python"]
    result = {
        "machine": describe(),
        "body_bytes": arguments.body,
        "messages_per_s": medians,
        "rounds": {name: [round(rate) for rate in found] for name, found in rates.items()},
        "of_kafka_python_alone": {name: round(rate / base, 2) for name, rate in medians.items()},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    for name, rate in medians.items():
        print(f"{name:28} {rate:7,}/s  {rate / base:5.2f} of kafka-python alone")


if __name__ == "__main__":
    main()
