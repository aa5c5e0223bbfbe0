"""The example consumers against real servers: they find what is there twice and what is missing."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from sinks.base import Outgoing, Sink
from sinks.kafka import KafkaSink
from sinks.redis.sink import RedisSink
from tests.services.streams import outgoing

ROOT = Path(__file__).resolve().parents[2]


def write(sink: Sink, messages: Sequence[Outgoing]) -> None:
    sink.open()
    sink.write(messages)
    sink.flush(20)
    sink.close()


def consume(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments, "--idle-s", "2"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def check(make_sink: Callable[[], Sink], arguments: Sequence[str]) -> None:
    messages = outgoing(["gate", "yard"], frames=5)
    write(make_sink(), [m for m in messages if m is not messages[6]])
    lacking = consume(*arguments)
    assert lacking.returncode == 1, lacking.stderr
    assert "gate (run run-1): 4 frames, 0 told as dropped, 1 missing, ended" in lacking.stdout
    assert "yard (run run-1): 5 frames, 0 told as dropped, 0 missing, ended" in lacking.stdout
    write(make_sink(), messages)
    whole = consume(*arguments)
    assert whole.returncode == 0, whole.stderr
    assert "gate (run run-1): 5 frames, 0 told as dropped, 0 missing, ended" in whole.stdout
    assert f"{len(messages) - 1} duplicates removed" in whole.stdout


def test_redis_consumer(redis_server: str) -> None:
    stream = uuid4().hex
    check(lambda: RedisSink(redis_server, stream), ["examples.consume_redis", redis_server, stream])


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_kafka_consumer(kafka_broker: str, make_topic: Callable[..., str]) -> None:
    topic = make_topic()
    check(lambda: KafkaSink([kafka_broker], topic), ["examples.consume_kafka", kafka_broker, topic])
