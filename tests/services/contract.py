"""The contract of message sinks as checks: each takes a way to make the sink and to read back what
its receiver holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from pipeline.core.errors import SinkUnavailable
from sinks.base import Outgoing, Sink
from tests.services.streams import bodies_by_stream, outgoing

STREAMS = ("gate", "yard", "rtsp://u:p@cam/1")
SECRET = "hunter2"


@dataclass(frozen=True)
class Subject:
    """A sink under test. `read` returns, by stream id, the bodies that the receiver holds."""

    make: Callable[[], Sink]
    read: Callable[[Sequence[str]], dict[str, list[bytes]]]


def check_order_and_flush(subject: Subject) -> None:
    """After flush the receiver holds everything once, each stream in order."""
    messages = outgoing(STREAMS, frames=20)
    sink = subject.make()
    sink.open()
    for start in range(0, len(messages), 7):
        sink.write(messages[start : start + 7])
    sink.flush(20)
    assert subject.read(STREAMS) == bodies_by_stream(messages)
    sink.close()


def check_close_is_idempotent(subject: Subject) -> None:
    """Close before open, after open and again: always quiet."""
    sink = subject.make()
    sink.close()
    sink.open()
    sink.close()
    sink.close()


def check_write_needs_open(subject: Subject) -> None:
    """Before open and after close a write takes nothing and says so."""
    sink = subject.make()
    message = outgoing(["gate"], frames=0)[:1]
    with pytest.raises(SinkUnavailable, match="not open"):
        sink.write(message)
    sink.open()
    sink.close()
    with pytest.raises(SinkUnavailable, match="not open"):
        sink.write(message)
    sink.open()
    sink.write(message)
    sink.flush(20)
    sink.close()
    assert subject.read(["gate"]) == bodies_by_stream(message)


def check_empty_write(subject: Subject) -> None:
    """Nothing to write is nothing written."""
    sink = subject.make()
    sink.open()
    sink.write([])
    sink.flush(20)
    sink.close()
    assert subject.read([]) == {}


def check_no_secret(subject: Subject) -> None:
    """Neither the name nor the repr shows a password."""
    sink = subject.make()
    assert SECRET not in sink.name + repr(sink)


def write_through(sink: Sink, messages: Sequence[Outgoing], attempts: int) -> int:
    """Write one message at a time, each again until it is taken; the number of refusals."""
    refusals = 0
    for message in messages:
        for _ in range(attempts):
            try:
                sink.write([message])
                break
            except SinkUnavailable:
                refusals += 1
        else:
            raise AssertionError(f"not taken in {attempts} attempts")
    return refusals


CHECKS = (
    check_order_and_flush,
    check_close_is_idempotent,
    check_write_needs_open,
    check_empty_write,
    check_no_secret,
)
