"""Redis behind Sentinels and as a cluster, with members that die under writes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
import redis
from redis.client import PubSub
from redis.crc import key_slot

from pipeline.core.errors import Rejected, SinkError, SinkUnavailable
from sinks.redis.address import RedisAddress
from sinks.redis.client import Login, connect
from sinks.redis.sink import RedisSink
from tests.services.contract import SECRET
from tests.services.needed import need
from tests.services.redis_servers import SERVICE, SLOTS, Cluster, Watched, cluster, watched
from tests.services.streams import bodies_by_stream, numbered, outgoing

need("redis-server")

STREAMS = ("gate", "yard", "hall", "dock")
LOGIN = Login(password=SECRET, sentinel_password=SECRET)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("watched"), SECRET) as started:
        yield started


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


def _bodies(client: redis.Redis, template: str) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for stream in STREAMS:
        entries = client.xrange(template.replace("{stream_id}", stream))
        found[stream] = [
            fields[b"body"] for _, fields in cast("list[tuple[bytes, dict[bytes, bytes]]]", entries)
        ]
    return found


def _member(key: str) -> int:
    """Which of the three has this key."""
    return key_slot(key.encode()) * 3 // SLOTS


def _through(sink: RedisSink, messages: list[Any], within_s: float = 30.0) -> int:
    """Write until it is taken: the number of refusals."""
    deadline_s, refusals = time.monotonic() + within_s, 0
    while True:
        try:
            sink.write(messages)
        except SinkUnavailable:
            if time.monotonic() > deadline_s:
                raise
            refusals += 1
            time.sleep(0.05)
        else:
            return refusals


@pytest.mark.parametrize("key", ["{run}:{{stream_id}}", "{run}:{{{{tag}}}}:{{stream_id}}"])
def test_cluster_takes_all_once_and_in_order(members: Cluster, key: str) -> None:
    key = key.format(run=uuid4().hex)
    messages = numbered(outgoing(STREAMS, frames=50))
    for begin in (0, 0, 90):  # as after restarts
        sink = RedisSink(members.url, key, state=f"state:{key}")
        sink.open()
        sink.write(messages[begin : begin + 120])
        sink.close()
    with connect(RedisAddress.parse(members.url)) as connected:
        assert _bodies(connected.client, key) == bodies_by_stream(messages)
        state = f"state:{key}".replace("{stream_id}", "dock")
        assert connected.client.hget(state, "status") == b"ended"


def test_keys_lie_in_several_members() -> None:
    """Else the test above shows nothing."""
    assert len({_member(f"run:{stream}") for stream in STREAMS}) > 1


def test_cluster_member_that_dies_and_returns(members: Cluster) -> None:
    key = f"{uuid4().hex}:{{stream_id}}"
    messages = numbered(outgoing(STREAMS, frames=50))
    sink = RedisSink(members.url, key, timeout_s=2)
    sink.open()
    sink.write(messages[:80])
    victim = members.servers[_member(key.replace("{stream_id}", "gate"))]
    victim.kill()
    with pytest.raises(SinkUnavailable):
        sink.write(messages[80:])
    victim.start()
    _through(sink, messages[80:])
    sink.close()
    with connect(RedisAddress.parse(members.url)) as connected:
        assert _bodies(connected.client, key) == bodies_by_stream(messages)


def test_cluster_publishes_in_order(members: Cluster) -> None:
    channel, messages = uuid4().hex, outgoing(["gate", "yard"], frames=20)
    with (
        redis.Redis(port=members.servers[2].port, protocol=2) as client,
        PubSub(client.connection_pool) as listener,
    ):
        listener.subscribe(channel)
        listener.get_message(timeout=5)
        sink = RedisSink(members.url, channel, mode="pubsub")
        sink.open()
        sink.write(messages)
        sink.close()
        heard = [listener.get_message(timeout=5) for _ in messages]
    assert [each["data"] for each in heard if each] == [each.body for each in messages]


@pytest.mark.parametrize(
    ("login", "error", "why"),
    [
        (
            Login(password=SECRET, sentinel_password=f"not {SECRET}"),
            Rejected,
            "the Sentinels refuse",
        ),
        (Login(password=f"not {SECRET}", sentinel_password=SECRET), Rejected, "WRONGPASS|invalid"),
        (LOGIN, SinkUnavailable, "'nobody': no Sentinel knows it"),
    ],
    ids=["sentinel", "master", "service"],
)
def test_what_sentinels_refuse(
    site: Watched, login: Login, error: type[SinkError], why: str
) -> None:
    url = site.url.replace(SERVICE, "nobody") if login is LOGIN else site.url
    sink = RedisSink(url, login=login, timeout_s=1)
    with pytest.raises(error, match=why) as raised:
        sink.open()
    sink.close()
    assert SECRET not in str(raised.value)


def test_a_failover_under_writes_loses_and_doubles_nothing(tmp_path: Path) -> None:
    messages = numbered(outgoing(STREAMS, frames=100))
    with watched(tmp_path, SECRET) as site:
        sink = RedisSink(site.url, "{stream_id}", login=LOGIN, wait_replicas=1, timeout_s=1)
        sink.open()
        assert sum(_through(sink, messages[i : i + 20]) for i in range(0, 200, 20)) == 0
        site.master.kill()
        refusals = sum(_through(sink, messages[i : i + 20]) for i in range(180, len(messages), 20))
        sink.close()
        with connect(RedisAddress.parse(site.url), LOGIN) as connected:
            assert _bodies(connected.client, "{stream_id}") == bodies_by_stream(messages)
    assert refusals


def test_too_few_replicas_is_no_delivery(site: Watched) -> None:
    sink = RedisSink(site.url, login=LOGIN, wait_replicas=3, timeout_s=0.5)
    sink.open()
    with pytest.raises(SinkUnavailable, match="2 replicas have the write, not 3"):
        sink.write(numbered(outgoing(["gate"], frames=1)))
    sink.close()
