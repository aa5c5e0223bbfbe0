"""What is written to Redis again is not there twice: real servers, frozen, killed and restarted."""

import random
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
import redis

from pipeline.core.errors import SinkUnavailable
from sinks.base import Outgoing
from sinks.redis.append import Trim, writers_key
from sinks.redis.sink import RedisSink
from sinks.spool.spool import Spool
from tests.services.needed import need
from tests.services.redis_servers import redis_with
from tests.services.streams import bodies_by_stream, numbered, outgoing
from tests.sinks.spool.spooling import opened, read_all

need("redis-server")


@pytest.fixture
def client(redis_server: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server) as client:
        yield client


def _entries(client: redis.Redis, key: str) -> list[tuple[tuple[int, int], dict[bytes, bytes]]]:
    """Ids as numbers, and fields."""
    found = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(key))
    return [(_parts(entry_id), fields) for entry_id, fields in found]


def _parts(entry_id: bytes) -> tuple[int, int]:
    ms, _, seq = entry_id.partition(b"-")
    return int(ms), int(seq)


def _bodies(client: redis.Redis, key: str) -> list[bytes]:
    return [fields[b"body"] for _, fields in _entries(client, key)]


def _write(url: str, key: str, messages: Sequence[Outgoing], trim: Trim | None = None) -> None:
    """As after a restart: by a sink of its own."""
    sink = RedisSink(url, key, trim=trim)
    sink.open()
    sink.write(messages)
    sink.close()


def test_a_restart_that_begins_too_early_adds_only_what_is_new(
    redis_server: str, client: redis.Redis
) -> None:
    key, messages = uuid4().hex, numbered(outgoing(["gate", "yard"], frames=30))
    _write(redis_server, key, messages[:40])
    _write(redis_server, key, messages[:40])
    _write(redis_server, key, messages[20:])
    entries = _entries(client, key)
    assert [fields[b"body"] for _, fields in entries] == [each.body for each in messages]
    assert [seq for (_, seq), _ in entries] == [each.number for each in messages]


def test_what_was_trimmed_is_not_written_again(redis_server: str, client: redis.Redis) -> None:
    key, messages = uuid4().hex, numbered(outgoing(["gate"], frames=98))
    trim = Trim(maxlen=10, exact=True)
    _write(redis_server, key, messages, trim)
    _write(redis_server, key, messages[:50], trim)
    assert _bodies(client, key) == [each.body for each in messages[-10:]]


def test_a_new_spool_begins_at_one_and_is_no_repeat(redis_server: str, client: redis.Redis) -> None:
    key, messages = uuid4().hex, outgoing(["gate"], frames=10)
    _write(redis_server, key, numbered(messages[:6], "spool-1"))
    _write(redis_server, key, numbered(messages[6:], "spool-2"))
    assert _bodies(client, key) == [each.body for each in messages]


def _deliver(url: str, key: str, spool: Spool) -> None:
    """All that waits, of which nothing is noted as acknowledged: as if killed right behind it."""
    _write(url, key, read_all(spool))


def test_a_copied_spool_loses_nothing_and_repeats_nothing(
    redis_server: str, client: redis.Redis, tmp_path: Path
) -> None:
    """Both count on from the same number: on another machine, or from a backup."""
    key, given = uuid4().hex, outgoing(["gate"], frames=18)
    with opened(tmp_path / "a") as spool:
        spool.append(given[:10])
        _write(redis_server, key, spool.read(0, 6))
        spool.acknowledge(3)
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        spool.append(given[10:13])
        _deliver(redis_server, key, spool)
    for name, place in (("b", 13), ("a", 16)):
        with opened(tmp_path / name) as spool:
            _deliver(redis_server, key, spool)
            spool.append(given[place : place + 3])
            _deliver(redis_server, key, spool)
    assert _bodies(client, key) == [each.body for each in given[:19]]


def test_runs_of_long_ago_are_forgotten(redis_server: str, client: redis.Redis) -> None:
    key, messages = uuid4().hex, outgoing(["gate"], frames=3)
    writers, (now_s, _) = writers_key(key), client.time()
    day_ms = 24 * 3600 * 1000
    for name, age_days in (("lately", 29), ("long-ago", 31)):
        client.hset(writers, name, f"7 {now_s * 1000 - age_days * day_ms}")
    client.hset(writers, "older-version", "7")
    _write(redis_server, key, numbered(messages[:2], "mine"))
    known = client.hkeys(writers)
    assert sorted(known) == [b"lately", b"mine", b"older-version"]
    _write(redis_server, key, numbered(messages, "mine"))
    assert _bodies(client, key) == [each.body for each in messages]


def test_an_entry_ahead_of_the_clock_stops_nobody(redis_server: str, client: redis.Redis) -> None:
    key, messages = uuid4().hex, numbered(outgoing(["gate"], frames=3))
    now_s, _ = client.time()
    ahead = ((now_s + 86_400) * 1000, 2**64 - 1)
    client.xadd(key, {"body": b"another's"}, id=f"{ahead[0]}-{ahead[1]}")
    _write(redis_server, key, messages)
    ids = [entry_id for entry_id, _ in _entries(client, key)]
    assert ids == [ahead, *((ahead[0] + 1, each.number) for each in messages)]


def test_many_writers_on_one_key(redis_server: str, client: redis.Redis) -> None:
    key = uuid4().hex
    written = {f"cam-{i}": outgoing([f"cam-{i}"], frames=120) for i in range(4)}

    def write(stream_id: str, messages: Sequence[Outgoing], rng: random.Random) -> None:
        sent, place = numbered(messages, stream_id), 0
        while place < len(sent):
            begin, place = max(0, place - rng.randrange(8)), place + 1 + rng.randrange(9)
            _write(redis_server, key, sent[begin:place])

    threads = [
        threading.Thread(target=write, args=(stream_id, messages, random.Random(i)))
        for i, (stream_id, messages) in enumerate(written.items())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = _entries(client, key)
    found: dict[str, list[bytes]] = {}
    for _, fields in entries:
        found.setdefault(fields[b"stream_id"].decode(), []).append(fields[b"body"])
    assert found == {each: bodies_by_stream(sent)[each] for each, sent in written.items()}
    assert len({entry_id for entry_id, _ in entries}) == sum(map(len, written.values()))


@pytest.mark.parametrize("seed", range(3))
def test_a_frozen_server_runs_old_writes_late(tmp_path: Path, seed: int) -> None:
    """What it got while frozen it reads when it goes on: after, before or amid the repetition."""
    rng = random.Random(seed)
    server = redis_with(tmp_path / "redis")
    server.start()
    messages = numbered(outgoing(["gate", "yard"], frames=400))
    sink = RedisSink(f"redis://127.0.0.1:{server.port}", "{stream_id}", timeout_s=0.1)
    sink.open()
    place, refusals = 0, 0
    while place < len(messages):
        size = 1 + rng.randrange(120)
        if freeze := rng.random() < 0.3:
            server.pause()
        try:
            sink.write(messages[place : place + size])
            place += size
        except SinkUnavailable:
            refusals += 1
        if freeze:
            server.resume()
    sink.close()
    with redis.Redis(port=server.port) as client:
        found = {each: _bodies(client, each) for each in ("gate", "yard")}
    server.stop()
    assert refusals
    assert found == bodies_by_stream(messages)


def test_a_server_that_is_killed_keeps_what_it_confirmed(tmp_path: Path) -> None:
    server = redis_with(tmp_path / "redis")
    server.start()
    messages = numbered(outgoing(["gate"], frames=98))
    sink = RedisSink(f"redis://127.0.0.1:{server.port}", "all", timeout_s=1)
    sink.open()
    sink.write(messages[:50])
    server.kill()
    with pytest.raises(SinkUnavailable):
        sink.write(messages[40:60])
    server.start()
    sink.write(messages[40:])
    sink.close()
    with redis.Redis(port=server.port) as client:
        assert _bodies(client, "all") == [each.body for each in messages]
    server.stop()
