"""The Redis sink against a real server."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast
from uuid import uuid4

import pytest
import redis
from jsonschema import Draft202012Validator
from redis.client import PubSub

from pipeline.core.errors import Rejected, SinkUnavailable
from pipeline.core.messages import decode, json_schema
from sinks.redis.append import Trim
from sinks.redis.client import Login
from sinks.redis.sink import RedisSink
from tests.services.contract import CHECKS, SECRET, Subject, write_through
from tests.services.servers import Server, free_port
from tests.services.streams import bodies_by_stream, numbered, outgoing

ServerMaker = Callable[[str], Server]


@pytest.fixture
def client(redis_server: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server) as client:
        yield client


def _entries(client: redis.Redis, key: str) -> list[dict[bytes, bytes]]:
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(key))
    return [fields for _, fields in entries]


def _read(client: redis.Redis, key: str) -> dict[str, list[bytes]]:
    bodies: dict[str, list[bytes]] = {}
    for fields in _entries(client, key):
        bodies.setdefault(fields[b"stream_id"].decode(), []).append(fields[b"body"])
    return bodies


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("key", ["all-{run}", "one-{run}-{{stream_id}}"])
def test_contract(
    redis_server: str, client: redis.Redis, key: str, check: Callable[[Subject], None]
) -> None:
    stream = key.format(run=uuid4().hex)

    def read(stream_ids: Sequence[str]) -> dict[str, list[bytes]]:
        keys = {stream.replace("{stream_id}", stream_id) for stream_id in stream_ids} or {stream}
        return {name: got for each in keys for name, got in _read(client, each).items()}

    check(Subject(lambda: RedisSink(redis_server, stream), read))


def test_every_entry_is_a_message_on_the_contract(redis_server: str, client: redis.Redis) -> None:
    stream = f"{uuid4().hex}-{{kind}}"
    messages = outgoing(["gate", "yard"], frames=30)
    sink = RedisSink(redis_server, stream)
    sink.open()
    sink.write(messages)
    sink.close()
    validator = Draft202012Validator(json_schema())
    entries = [
        (kind, fields)
        for kind in ("stream_status", "frame", "end_of_stream")
        for fields in _entries(client, stream.replace("{kind}", kind))
    ]
    assert sink.delivered_total == len(entries) == len(messages)
    for kind, fields in entries:
        message = decode(fields[b"body"])
        validator.validate(json.loads(fields[b"body"]))
        assert fields[b"kind"].decode() == message.kind == kind
        assert fields[b"stream_id"].decode() == message.stream_id
        assert fields[b"message_id"].decode() == message.message_id


def test_publish(redis_server: str, client: redis.Redis) -> None:
    channel = f"{uuid4().hex}-{{stream_id}}"
    messages = outgoing(["gate", "yard"], frames=10)
    with PubSub(client.connection_pool) as listener:
        listener.subscribe(*(channel.replace("{stream_id}", each) for each in ("gate", "yard")))
        begun = [listener.get_message(timeout=5) for _ in range(2)]
        assert [each["type"] for each in begun if each is not None] == ["subscribe", "subscribe"]
        sink = RedisSink(redis_server, channel, mode="pubsub")
        sink.open()
        sink.write(messages)
        sink.close()
        heard = [listener.get_message(timeout=5) for _ in messages]
    bodies = [message["data"] for message in heard if message is not None]
    assert bodies == [message.body for message in messages]
    validator = Draft202012Validator(json_schema())
    for body in bodies:
        validator.validate(json.loads(body))


@pytest.mark.parametrize(("exact", "most"), [(False, 400), (True, 200)])
def test_maxlen_keeps_the_newest(
    redis_server: str, client: redis.Redis, exact: bool, most: int
) -> None:
    stream = uuid4().hex
    messages = outgoing(["gate"], frames=998)
    sink = RedisSink(redis_server, stream, trim=Trim(maxlen=200, exact=exact))
    sink.open()
    sink.write(messages)
    sink.close()
    kept = _read(client, stream)["gate"]
    assert 200 <= len(kept) <= most
    assert kept == [message.body for message in messages[-len(kept) :]]


def test_age_keeps_the_newest(redis_server: str, client: redis.Redis) -> None:
    stream = uuid4().hex
    now_s, _ = client.time()
    for age_s in (7200, 3700, 3500, 60):
        client.xadd(stream, {"age_s": age_s}, id=f"{(now_s - age_s) * 1000}-7")
    message = numbered(outgoing(["gate"], frames=0))[:1]
    sink = RedisSink(redis_server, stream, trim=Trim(max_age_s=3600, exact=True))
    sink.open()
    sink.write(message)
    sink.close()
    kept = [fields.get(b"age_s") for fields in _entries(client, stream)]
    assert kept == [b"3500", b"60", None]


def test_the_last_state_of_each_stream(redis_server: str, client: redis.Redis) -> None:
    run = uuid4().hex
    messages = outgoing(["gate", "yard"], frames=9)
    sink = RedisSink(redis_server, run, state=f"{run}:{{stream_id}}")
    sink.open()
    sink.write(messages[:-2])
    for stream in ("gate", "yard"):
        state = cast("dict[bytes, bytes]", client.hgetall(f"{run}:{stream}"))
        assert state.pop(b"updated_at").endswith(b"Z")
        assert state == {
            b"stream_id": stream.encode(), b"run_id": b"run-1", b"epoch": b"0", b"seq": b"8",
            b"status": b"up", b"status_at": b"2026-01-01T00:00:00.000000Z", b"reason": b"",
            b"frame_seq": b"8", b"captured_at": b"2026-01-01T00:00:00.320000Z",
            b"detections": b"2", b"counts": b'{"person":2}',
        }  # fmt: skip
    sink.write(messages[-2:])
    sink.close()
    assert client.hget(f"{run}:gate", "status") == b"ended"


def test_a_state_that_cannot_be_written_costs_no_message(
    redis_server: str, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    run = uuid4().hex
    client.set(f"{run}:gate", "a string")
    messages = outgoing(["gate"], frames=5)
    sink = RedisSink(redis_server, run, state=f"{run}:{{stream_id}}")
    sink.open()
    sink.write(messages[:3])
    sink.write(messages[3:])
    sink.close()
    assert _read(client, run) == bodies_by_stream(messages)
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1
    assert "last state of streams is not written: WRONGTYPE" in said[0]


def test_a_server_that_restarts_loses_and_doubles_nothing(make_server: ServerMaker) -> None:
    server = make_server("redis")
    url = f"redis://127.0.0.1:{server.port}/0"
    messages = outgoing(["gate", "yard"], frames=20)
    sink = RedisSink(url, "test")
    sink.open()
    sink.write(messages[:20])
    server.stop()
    with pytest.raises(SinkUnavailable, match=rf"127\.0\.0\.1:{server.port}: "):
        sink.write(messages[20:])
    server.start()
    assert write_through(sink, messages[20:], attempts=3) == 0
    sink.flush(1)
    sink.close()
    with redis.Redis.from_url(url) as client:
        assert _read(client, "test") == bodies_by_stream(messages)
    assert sink.delivered_total == len(messages)


def test_a_key_of_another_type_takes_nothing(redis_server: str, client: redis.Redis) -> None:
    run = uuid4().hex
    client.set(f"{run}-yard", "a string")
    sink = RedisSink(redis_server, f"{run}-{{stream_id}}")
    sink.open()
    with pytest.raises(Rejected, match="-yard' holds no stream") as raised:
        sink.write(outgoing(["gate", "yard"], frames=1))
    assert not raised.value.message_ids  # an operator can mend it
    assert not client.exists(f"{run}-gate")
    client.delete(f"{run}-yard")
    sink.write(outgoing(["gate", "yard"], frames=1))
    client.delete(f"{run}-yard")
    client.set(f"{run}-yard", "a string")
    with pytest.raises(Rejected, match="-yard': WRONGTYPE") as raised:
        sink.write(outgoing(["yard"], frames=1))
    assert not raised.value.message_ids
    sink.close()
    with pytest.raises(Rejected, match="-yard' holds no stream"):
        RedisSink(redis_server, f"{run}-yard").open()


def test_what_is_too_large_is_named(make_server: ServerMaker) -> None:
    server = make_server("redis")
    messages = outgoing(["gate"], frames=3)
    huge = replace(messages[1], body=b'"' + b"x" * (1 << 20) + b'"')
    with redis.Redis(port=server.port) as client:
        client.config_set("proto-max-bulk-len", 1 << 20)
        sink = RedisSink(f"redis://127.0.0.1:{server.port}", "all")
        sink.open()
        with pytest.raises(Rejected, match=r"too large, Redis takes 1048576 bytes") as raised:
            sink.write([messages[0], huge, messages[2]])
        assert raised.value.message_ids == (huge.message_id,)
        assert not client.exists("all")
        sink.close()


def test_a_full_server_takes_nothing_and_may_be_tried_again(make_server: ServerMaker) -> None:
    server = make_server("redis")
    url = f"redis://127.0.0.1:{server.port}/0"
    messages = outgoing(["gate"], frames=3)
    sink = RedisSink(url, "test")
    sink.open()
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(SinkUnavailable, match="used memory > 'maxmemory'") as raised:
            sink.write(messages)
        assert "detections" not in str(raised.value)
        client.config_set("maxmemory", "0")
        sink.write(messages)
        assert _read(client, "test") == bodies_by_stream(messages)
    sink.close()


def test_a_wrong_password_is_told_without_it(make_server: ServerMaker) -> None:
    server = make_server("redis")
    with redis.Redis(port=server.port) as client:
        client.config_set("requirepass", "the right one")
    for url, password in (
        (f"redis://:{SECRET}@127.0.0.1:{server.port}", None),
        (f"redis://127.0.0.1:{server.port}", SECRET),
        (f"redis://127.0.0.1:{server.port}", None),
    ):
        sink = RedisSink(url, login=Login(password=password))
        with pytest.raises(Rejected, match=f"127.0.0.1:{server.port}: ") as raised:
            sink.open()
        assert not raised.value.message_ids
        assert SECRET not in str(raised.value) + repr(sink)
        assert "\n" not in str(raised.value)
        sink.close()
    sink = RedisSink(f"redis://127.0.0.1:{server.port}", login=Login(password="the right one"))
    sink.open()
    sink.close()


def test_nobody_listens() -> None:
    port = free_port()
    sink = RedisSink(f"redis://user:{SECRET}@127.0.0.1:{port}/0", name="out", timeout_s=1)
    begin_s = time.monotonic()
    with pytest.raises(SinkUnavailable, match=rf"^sink 'out': 127\.0\.0\.1:{port}: .*refused") as r:
        sink.open()
    assert time.monotonic() - begin_s < 2
    assert SECRET not in str(r.value)
    assert "\n" not in str(r.value)
    sink.close()


def test_another_scheme() -> None:
    with pytest.raises(ValueError, match="scheme") as raised:
        RedisSink(f"kafka://user:{SECRET}@127.0.0.1")
    assert SECRET not in str(raised.value)
