"""What holds for every sink that needs no server. tests/integration asks the same of Kafka and
Redis."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, cycle, islice
from pathlib import Path

import pytest

from pipeline.core.errors import Backpressure, SinkUnavailable
from sinks.base import Sink
from sinks.blackhole import BlackholeSink
from sinks.jsonl import JsonLinesSink
from sinks.memory import MemorySink
from sinks.parquet import ParquetSink
from sinks.webhook import BatchLimits, BodyFormat, WebhookSink
from tests.services import parquet_rows
from tests.services.contract import CHECKS, SECRET, STREAMS, Subject, write_through
from tests.services.hook import Hook
from tests.services.streams import bodies_by_stream, outgoing

Check = Callable[[Subject], None]


def _memory() -> Subject:
    made: list[MemorySink] = []

    def make() -> Sink:
        made.append(MemorySink())
        return made[-1]

    return Subject(make, lambda _: bodies_by_stream(made[-1].messages))


def _jsonl(path: Path, *, append: bool = False) -> Subject:
    def read(_: Sequence[str]) -> dict[str, list[bytes]]:
        bodies: dict[str, list[bytes]] = {}
        for file in sorted(path.parent.rglob("*.jsonl")):
            for line in file.read_bytes().splitlines():
                bodies.setdefault(json.loads(line)["stream_id"], []).append(line)
        return bodies

    return Subject(lambda: JsonLinesSink(str(path), append=append), read)


def _parquet(folder: Path) -> Subject:
    return Subject(lambda: ParquetSink(folder), lambda _: parquet_rows.bodies(folder))


def _webhook(hook: Hook, body_format: BodyFormat) -> Subject:
    def make() -> Sink:
        return WebhookSink(
            hook.url,
            body_format=body_format,
            limits=BatchLimits(messages=10, body_bytes=4000),
            headers={"Authorization": f"Bearer {SECRET}"},
            secret=SECRET * 3,
        )

    return Subject(make, lambda _: hook.bodies)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as hook:
        yield hook


@pytest.fixture(
    params=["memory", "one file", "file per stream", "appended", "parquet", "array", "ndjson"]
)
def subject(request: pytest.FixtureRequest, tmp_path: Path, hook: Hook) -> Subject:
    subjects: dict[str, Callable[[], Subject]] = {
        "memory": _memory,
        "one file": lambda: _jsonl(tmp_path / "out" / "all.jsonl"),
        "file per stream": lambda: _jsonl(tmp_path / "out" / "{stream_id}.jsonl"),
        "appended": lambda: _jsonl(tmp_path / "out" / "{stream_id}.jsonl", append=True),
        "parquet": lambda: _parquet(tmp_path / "tables"),
        "array": lambda: _webhook(hook, "array"),
        "ndjson": lambda: _webhook(hook, "ndjson"),
    }
    return subjects[request.param]()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(subject: Subject, check: Check) -> None:
    check(subject)


def test_memory_sink_takes_nothing_when_its_script_says_fail() -> None:
    messages = outgoing(STREAMS, frames=4)
    busy, away = Backpressure("memory", "busy", 0.1), SinkUnavailable("memory", "away")
    failures = chain([busy], islice(cycle([away, None]), 2 * len(messages)))
    sink = MemorySink(failures=failures)
    sink.open()
    with pytest.raises(Backpressure) as raised:
        sink.write(messages)
    assert raised.value.retry_after_s == 0.1
    assert write_through(sink, messages, attempts=2) == len(messages)
    assert sink.messages == messages


def test_blackhole_counts() -> None:
    messages = outgoing(STREAMS, frames=5)
    sink = BlackholeSink()
    with pytest.raises(SinkUnavailable, match="not open"):
        sink.write(messages)
    sink.open()
    sink.write(messages)
    sink.flush(1)
    sink.close()
    sink.close()
    assert sink.delivered_total == len(messages)
    assert sink.bytes_total == sum(len(message.body) for message in messages)
    assert sink.by_kind == {"stream_status": 3, "frame": 15, "end_of_stream": 3}
