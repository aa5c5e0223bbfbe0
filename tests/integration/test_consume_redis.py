"""`consume` and `eyrie verify` on a real Redis: groups, what others left, a restart."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from pipeline.core.messages import Message, encode
from sinks.consume import ConsumeError, ConsumeUnavailable, Gap, consume
from sinks.consume import redis as reader
from tests.services.servers import Server
from tests.sinks.consume.told import frame, whole

ROOT = Path(__file__).resolve().parents[2]
EYRIE = (sys.executable, "-c", "from pipeline.cli import main; main()")
ServerMaker = Callable[[str], Server]


def produce(url: str, stream: str, messages: Sequence[Message]) -> None:
    with redis.Redis.from_url(url, protocol=2) as client:
        for message in messages:
            client.xadd(stream, {"body": encode(message), "kind": message.kind})


def pending(url: str, stream: str, group: str) -> int:
    with redis.Redis.from_url(url, protocol=2) as client:
        return int(client.xpending(stream, group)["pending"])


async def test_every_message_comes_once_and_gaps_are_told(redis_server: str) -> None:
    stream, messages = uuid4().hex, whole([True, False] * 700)
    produce(redis_server, stream, [*messages[:900], *messages[880:]])
    produce(redis_server, stream, [frame(seq, stream="yard") for seq in (0, 3)])
    consumer = consume(f"{redis_server}?stream={stream}", follow=False)
    got = [message async for message in consumer]
    assert got[: len(messages)] == messages
    assert got[len(messages) + 1] == Gap("run-1", "yard", 0, 1, 2)
    assert consumer.account.duplicates == 20


async def test_a_group_resumes_where_it_was(redis_server: str) -> None:
    stream, messages = uuid4().hex, whole([True] * 30)
    url = f"{redis_server}?stream={stream}"
    produce(redis_server, stream, messages)
    done: list[object] = []
    async with consume(url, "g") as first:
        async for message in first:
            if len(done) == 12:
                break
            done.append(message)
    assert pending(redis_server, stream, "g") == len(messages) - 12
    async with consume(url, "g", follow=False) as second:
        done += [message async for message in second]
    assert done == messages
    assert pending(redis_server, stream, "g") == 0


async def test_what_another_member_left_is_taken_over(
    redis_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_RECLAIM_AFTER_MS", 1)
    stream, messages = uuid4().hex, whole([True] * 9)
    produce(redis_server, stream, messages)
    with redis.Redis.from_url(redis_server, protocol=2) as client:
        client.xgroup_create(stream, "g", "0")
        client.xreadgroup("g", "dead", {stream: ">"}, count=4)
    got = []
    async with consume(f"{redis_server}?stream={stream}", "g") as told:
        async for message in told:
            got.append(message)
            if len(got) == len(messages):
                break
    assert got == messages


async def test_a_consumer_outlives_its_server(
    make_server: ServerMaker, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server("redis")
    url, messages = f"redis://127.0.0.1:{server.port}/0", whole([True] * 30)
    produce(url, "told", messages[:10])
    got: list[object] = []
    async with consume(f"{url}?stream=told", "g") as told:
        async for message in told:
            got.append(message)
            if len(got) == 10:
                await asyncio.to_thread(server.stop)
                asyncio.get_running_loop().call_later(1.5, restart, server, url, messages[10:])
            if len(got) == len(messages):
                break
    assert got == messages
    assert caplog.text.count("trying again until it is there") == 1


def restart(server: Server, url: str, messages: Sequence[Message]) -> None:
    """After the consumer has tried a few times."""
    server.start()
    produce(url, "told", messages)


async def test_a_server_that_comes_later_is_waited_for_where_that_is_asked(
    make_server: ServerMaker,
) -> None:
    server = make_server("redis")
    url, messages = f"redis://127.0.0.1:{server.port}/0", whole([True] * 3)
    await asyncio.to_thread(server.stop)
    with pytest.raises(ConsumeUnavailable, match=rf"127\.0\.0\.1:{server.port}.*refused"):
        async for _ in consume(f"{url}?stream=told"):
            pass
    asyncio.get_running_loop().call_later(0.5, restart, server, url, messages)
    async with consume(f"{url}?stream=told", wait_at_start=True) as told:
        iteration = aiter(told)
        assert [await anext(iteration) for _ in messages] == messages


async def test_without_a_group_one_may_begin_at_a_time_or_now(redis_server: str) -> None:
    stream, messages = uuid4().hex, whole([True] * 5)
    url = f"{redis_server}?stream={stream}"
    produce(redis_server, stream, messages)
    assert [m async for m in consume(url, begin="newest", follow=False)] == []
    received: asyncio.Queue[object] = asyncio.Queue()

    async def listen() -> None:
        async for message in consume(url, begin="newest"):
            await received.put(message)

    task = asyncio.create_task(listen())
    later = frame(9)
    while received.empty():
        await asyncio.to_thread(produce, redis_server, stream, [later])
        await asyncio.sleep(0.05)
    assert await received.get() == later
    task.cancel()


async def test_a_key_that_is_no_stream_is_refused(redis_server: str) -> None:
    key = uuid4().hex
    with redis.Redis.from_url(redis_server, protocol=2) as client:
        client.set(key, "x")
    with pytest.raises(ConsumeError, match="holds no stream; correct the name"):
        async for _ in consume(f"{redis_server}?stream={key}"):
            pass


@pytest.mark.parametrize(("kept", "code"), [(slice(None), 0), (slice(2, None), 1)])
def test_verify_proves_a_stream(redis_server: str, kept: slice, code: int) -> None:
    stream, messages = uuid4().hex, whole([True] * 8)
    produce(redis_server, stream, messages[kept])
    command = [*EYRIE, "verify", f"{redis_server}?stream={stream}"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == code, result.stdout + result.stderr
    assert ("missing: gate (run run-1), epoch 0: seq 0 to 0" in result.stdout) == bool(code)
