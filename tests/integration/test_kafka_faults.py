"""A Kafka broker that stops, hangs and forgets, under sinks of all kinds at once."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient

from pipeline.core.errors import Backpressure, SinkUnavailable
from sinks.base import Outgoing
from sinks.kafka import KafkaSink, Tuning, producer
from sinks.kafka.open_client import ClientName
from tests.services.kafka_records import bodies, first_ids
from tests.services.servers import Server, create_topic, format_kafka
from tests.services.streams import bodies_by_stream, outgoing

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.timeout(240),
]

CLIENTS: tuple[ClientName, ...] = ("kafka-python", "confluent")
TUNING = Tuning(most_pending=200, transaction_timeout_s=25)
STREAMS = ("gate", "yard", "dock")


@dataclass(frozen=True, slots=True)
class Line:
    """A sink with a topic of its own."""

    sink: KafkaSink
    topic: str


@dataclass(frozen=True, slots=True)
class Site:
    """A broker, and a sink of each kind that writes to it."""

    server: Server
    lines: list[Line]

    @property
    def broker(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def make_topics(self) -> None:
        for line in self.lines:
            create_topic(self.server.port, line.topic, 2, {})

    def write(self, messages: list[Outgoing]) -> None:
        for line in self.lines:
            line.sink.write(messages)

    def flush(self) -> None:
        for line in self.lines:
            line.sink.flush(60)


@pytest.fixture
def site(fragile_kafka: Server) -> Iterator[Site]:
    server = fragile_kafka
    if not server.accepts():
        server.start()
    site = Site(server, [])
    for client in CLIENTS:
        for transactional_id in (None, f"tx-{uuid4().hex}"):
            topic = f"{client}-{transactional_id or uuid4().hex}"
            sink = KafkaSink(
                [site.broker], topic, topic, 30, client=client,
                transactional_id=transactional_id, tuning=TUNING,
            )  # fmt: skip
            site.lines.append(Line(sink, topic))
    site.make_topics()
    for line in site.lines:
        line.sink.open()
    yield site
    for line in site.lines:
        line.sink.close()


def test_a_broker_that_restarts_loses_and_doubles_nothing(site: Site) -> None:
    messages = outgoing(STREAMS, frames=40)
    site.write(messages[:40])
    site.server.stop()
    site.write(messages[40:80])
    for line in site.lines:
        with pytest.raises(SinkUnavailable, match=r"messages not acknowledged after 0\.5 s"):
            line.sink.flush(0.5)
    site.server.start()
    site.write(messages[80:])
    site.flush()
    for line in site.lines:
        assert (line.sink.delivered_total, line.sink.pending) == (len(messages), 0)
        assert bodies(site.broker, line.topic, committed=True) == bodies_by_stream(messages)
    site.server.kill()
    for line in site.lines:
        line.sink.write(messages)
        with pytest.raises(Backpressure):
            line.sink.write(messages)
        begin_s = time.monotonic()
        line.sink.close()
        assert time.monotonic() - begin_s < 2, line.topic
        assert line.sink.pending == len(messages)


def test_a_broker_that_hangs(site: Site) -> None:
    messages = outgoing(STREAMS, frames=40)
    site.write(messages[:40])
    site.flush()
    late = KafkaSink([site.broker], "nowhere", "late", 0.5)
    site.server.pause()
    try:
        site.write(messages[40:])
        for line in site.lines:
            with pytest.raises(SinkUnavailable, match=r"messages not acknowledged after 0\.5 s"):
                line.sink.flush(0.5)
        with pytest.raises(SinkUnavailable):
            late.open()
    finally:
        site.server.resume()
    site.flush()
    for line in site.lines:
        assert bodies(site.broker, line.topic, committed=True) == bodies_by_stream(messages)
    site.server.pause()
    try:
        site.write(messages[:3])
        for line in site.lines:
            begin_s = time.monotonic()
            line.sink.close()
            assert time.monotonic() - begin_s < 2, line.topic
    finally:
        site.server.resume()


def test_a_topic_that_is_deleted_is_named_and_gets_all_once_it_is_there_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "_STUCK_S", 0.3)
    before, after = outgoing(STREAMS, frames=10), outgoing(STREAMS, frames=30)
    site.write(before)
    site.flush()
    with KafkaAdminClient(bootstrap_servers=site.broker) as admin:
        admin.delete_topics([line.topic for line in site.lines])
    site.write(after)
    for line in site.lines:
        why = f"topic '{line.topic}' does not exist any more: create it again; until then, messages"
        deadline_s, told = time.monotonic() + 30, ""
        while why not in told:
            assert time.monotonic() < deadline_s, told
            with pytest.raises(SinkUnavailable) as raised:
                line.sink.flush(0.5)
            told = str(raised.value)
    site.make_topics()
    site.flush()
    for line in site.lines:
        assert bodies(site.broker, line.topic, committed=True) == bodies_by_stream(after)


def test_a_broker_that_has_forgotten_everything(site: Site) -> None:
    """Topics, producers and transactions are gone: what was not acknowledged comes, in order."""
    before, after = outgoing(STREAMS, frames=10), outgoing(STREAMS, frames=30)
    site.write(before)
    site.flush()
    site.server.stop()
    site.write(after[:50])
    format_kafka(site.server.log.parent)
    site.server.start()
    site.make_topics()
    site.write(after[50:])
    site.flush()
    for line in site.lines:
        kept = first_ids(bodies(site.broker, line.topic, committed=True))
        assert kept == first_ids(bodies_by_stream(after)), line.topic
