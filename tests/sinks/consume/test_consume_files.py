"""Reading JSON Lines files as they grow, from a place that is kept."""

import asyncio
import contextlib
import json
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.core.messages import encode
from sinks.consume import ConsumeError, Consumer, Gap, consume, files
from sinks.consume.base import Record
from tests.services.streams import START
from tests.sinks.consume.told import frame, whole, write

HOUR = timedelta(hours=1)


async def all_of(consumer: Consumer) -> list[object]:
    return [message async for message in consumer]


def readers() -> int:
    return sum(thread.name.startswith("eyrie consume") for thread in threading.enumerate())


async def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    messages = whole([True, False, True] * 9)
    path = write(tmp_path / "gate.jsonl", [*messages, *messages[3:8]])
    consumer = consume(f"file:{path}", follow=False)
    assert await all_of(consumer) == messages
    account = consumer.account
    assert account.read == account.yielded + account.duplicates + account.invalid
    assert (account.duplicates, account.invalid) == (5, 0)


async def test_a_pattern_takes_several_files_and_gaps_are_told(tmp_path: Path) -> None:
    write(tmp_path / "a-1.jsonl", [frame(0), frame(1)])
    write(tmp_path / "a-2.jsonl", [frame(4)])
    found = await all_of(consume(str(tmp_path / "a-*.jsonl"), follow=False))
    assert found == [frame(0), frame(1), Gap("run-1", "gate", 0, 2, 3), frame(4)]


async def test_a_group_resumes_behind_what_is_done(tmp_path: Path) -> None:
    messages = whole([True] * 12)
    path = write(tmp_path / "gate.jsonl", messages)
    done: list[object] = []
    async with consume(f"file:{path}", "mine") as consumer:
        async for message in consumer:
            if len(done) == 5:
                break
            done.append(message)
    assert json.loads((tmp_path / "gate.jsonl.mine.offset").read_text())["offset"] == sum(
        len(encode(message)) + 1 for message in messages[:5]
    )
    rest = await all_of(consume(f"file:{path}", "mine", follow=False))
    assert [*done, *rest] == messages
    write(path, [frame(90)], "ab")
    assert await all_of(consume(f"file:{path}", "mine", follow=False)) == [frame(90)]


async def test_a_file_that_was_written_anew_is_read_from_its_start(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", whole([True] * 12))
    await all_of(consume(f"file:{path}", "mine", follow=False))
    path.unlink()
    write(path, [frame(0)])
    assert await all_of(consume(f"file:{path}", "mine", follow=False)) == [frame(0)]


async def test_a_growing_file_is_followed_and_half_a_line_waits(tmp_path: Path) -> None:
    messages = whole([True] * 4)
    path, got = tmp_path / "gate.jsonl", []
    body = encode(messages[0]) + b"\n"
    async with consume(f"file:{path}") as consumer:
        iteration = aiter(consumer)
        waiting = asyncio.ensure_future(anext(iteration))
        path.write_bytes(body[:50])
        await asyncio.wait([waiting], timeout=0.4)
        assert not waiting.done()
        with path.open("ab") as file:
            file.write(body[50:])
        got.append(await asyncio.wait_for(waiting, 20))
        write(path, messages[1:], "ab")
        while len(got) < len(messages):
            got.append(await asyncio.wait_for(anext(iteration), 20))
    assert got == messages


async def test_what_is_no_message_is_skipped_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", [frame(0)])
    with path.open("ab") as file:
        file.write(b'{"kind": "frame"}\n\nrubbish\n')
    write(path, [frame(1)], "ab")
    refused: list[tuple[Record, str]] = []
    consumer = consume(str(path), follow=False, on_invalid=lambda *told: refused.append(told))
    assert await all_of(consumer) == [frame(0), frame(1)]
    assert consumer.account.invalid == len(refused) == 2
    assert refused[1][0].body == b"rubbish"
    assert "schema" in refused[0][1] or "message_id" in refused[0][1]


async def test_much_that_is_no_message_is_counted_and_logged_now_and_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gate.jsonl"
    path.write_text("rubbish\n" * 500)
    consumer = consume(str(path), follow=False)
    begin_s = time.monotonic()
    assert await all_of(consumer) == []
    took_s = time.monotonic() - begin_s
    assert consumer.account.invalid == 500
    assert 10 <= len(caplog.messages) <= 10 + took_s
    assert caplog.messages[0].startswith(f"{path} at 0: no message, skipped (1 so far): body: ")


async def test_a_line_without_an_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LONGEST_LINE_BYTES", 1 << 12)
    path = write(tmp_path / "gate.jsonl", [frame(0)])
    with path.open("ab") as file:
        file.write(b"x" * (1 << 12))
    with pytest.raises(ConsumeError, match=r"gate\.jsonl: has a line of 4096 bytes or more"):
        await all_of(consume(str(path), follow=False))


async def test_cancelling_ends_the_thread(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", [frame(0)])
    before, seen = readers(), asyncio.Event()

    async def work() -> None:
        async for _ in consume(str(path), "mine"):
            seen.set()

    task = asyncio.create_task(work())
    await asyncio.wait_for(seen.wait(), 20)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 20)
    assert task.cancelled()
    await until_ended(before)


async def test_a_break_ends_the_thread_too(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", [frame(0)])
    before = readers()
    async for _ in consume(str(path)):
        break
    await until_ended(before)


async def until_ended(before: int) -> None:
    async with asyncio.timeout(20):
        while readers() > before:
            await asyncio.sleep(0.01)


async def test_a_slow_consumer_makes_the_reader_wait(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", whole([True] * 9000))
    async with consume(str(path), follow=False) as consumer:
        async for _ in consumer:
            assert consumer.account.read == 1
            break


async def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConsumeError, match="there is no such file; correct the path"):
        await all_of(consume(str(tmp_path / "none.jsonl"), follow=False))


async def test_a_time_to_begin_at_leaves_out_what_was_published_before(tmp_path: Path) -> None:
    later = [
        frame(seq).model_copy(update={"published_at": START + HOUR, "arrived_at": START + HOUR})
        for seq in (7, 8)
    ]
    path = write(tmp_path / "gate.jsonl", [frame(0), frame(1), *later])
    consumer = consume(str(path), begin=START + HOUR, follow=False)
    assert await all_of(consumer) == later
    assert consumer.account.too_early == 2


async def test_a_damaged_place_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", [frame(0)])
    (tmp_path / "gate.jsonl.mine.offset").write_text("{")
    with pytest.raises(ConsumeError, match="holds no place; delete it to begin anew"):
        await all_of(consume(str(path), "mine", follow=False))


async def test_one_iterates_once(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", [frame(0)])
    consumer = consume(str(path), follow=False)
    assert await all_of(consumer) == [frame(0)]
    with pytest.raises(RuntimeError, match="iterated once"):
        aiter(consumer)
    await consumer.aclose()


async def test_avro_is_read_as_json_is(tmp_path: Path) -> None:
    pytest.importorskip("fastavro")
    from pipeline.core.avro import encode_avro
    from sinks.consume.bodies import read_body
    from sinks.consume.glance import as_json, glance

    message = whole([True, False, True])[-1]
    body = encode_avro(message)
    assert read_body(body) == message
    assert glance(as_json(body)).decoded == 3
