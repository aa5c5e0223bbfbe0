"""A topic whose limit was too low, mended: the dead letters arrive, and completeness is proved."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from pipeline.core.clock import SystemClock
from pipeline.outlets.delivery import Delivery
from sinks.base import Outgoing
from sinks.kafka import KafkaSink
from sinks.spool.account import Account
from tests.sinks.consume.told import whole
from tests.sinks.spool.spooling import check_identity, opened

# kafka-python leaves sockets of failed connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

TopicMaker = Callable[..., str]


def eyrie(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


def deliver(broker: str, topic: str, folder: Path, given: list[Outgoing]) -> Account:
    """A run that delivers what waits and what it is given."""
    with opened(folder) as spool:
        spool.append(given)
        delivery = Delivery(KafkaSink([broker], topic), spool, SystemClock(), 0.0, 60.0)
        delivery.open()
        delivery.stored()
        delivery.run()
        account = spool.account()[0]
        check_identity(account)
        return account


def raise_limit(broker: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:
        limit = {"max.message.bytes": "100000"}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, limit)])
    finally:
        admin.close()


def test_dead_letters_arrive_once_the_topic_takes_them(
    kafka_broker: str, make_topic: TopicMaker, tmp_path: Path
) -> None:
    given = [Outgoing.of(message) for message in whole([True] * 12)]
    for place in (3, 4, 9):  # spaces are nothing in JSON, and too much for the topic
        given[place] = replace(given[place], body=given[place].body + b" " * 4000)
    topic = make_topic(partitions=1, **{"max.message.bytes": "3000"})
    url, spool = f"kafka://{kafka_broker}/{topic}", tmp_path / "kafka"
    account = deliver(kafka_broker, topic, spool, given)
    assert (account.dead_lettered, account.acknowledged) == (3, len(given) - 3)
    assert eyrie("verify", url).exit_code == 1
    assert eyrie("verify", url, "--dead-letters", tmp_path).exit_code == 0
    assert "3" in eyrie("spool", "dead", tmp_path).stdout

    raise_limit(kafka_broker, topic)
    replayed = eyrie("spool", "dead", tmp_path, "--replay")
    assert replayed.exit_code == 0, replayed.output
    account = deliver(kafka_broker, topic, spool, [])
    assert (account.found, account.acknowledged, account.dead_lettered) == (3, 3, 0)
    assert "no dead letters" in eyrie("spool", "dead", tmp_path).stdout

    late = eyrie("verify", url)
    assert late.exit_code == 1, "the order of the key is not kept"
    assert "came behind" in late.stdout
    complete = eyrie("verify", url, "--any-order")
    assert complete.exit_code == 0, complete.output
    assert "complete: nothing is missing" in complete.stdout
