"""Delivery to one sink: order, retries, and an account that adds up."""

import logging
import threading
from collections.abc import Iterator, Sequence

import pytest

from pipeline.core.backoff import Backoff
from pipeline.core.clock import SystemClock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkGone, SinkUnavailable
from pipeline.outlets.outlet import Outlet
from pipeline.supervise import Retries
from sinks.base import Outgoing
from sinks.memory import MemorySink


def message(number: int) -> Outgoing:
    return Outgoing("frame", "gate", f"{number:032x}", b"{}")


def run(sink: MemorySink, count: int) -> Outlet:
    """All of `count` messages through an outlet that waits for nothing."""
    sink.open()
    at_once = Retries(away=Backoff(first_s=0.0), refused=Backoff(first_s=0.0))
    outlet = Outlet(sink, 1000, "block", SystemClock(), retries=at_once)
    for number in range(count):
        outlet.channel.put(message(number))
    outlet.channel.close()
    outlet.run()
    return outlet


def deliver(failures: list[SinkError | None], count: int) -> tuple[MemorySink, Outlet]:
    sink = MemorySink(failures=iter(failures))
    return sink, run(sink, count)


def test_all_messages_arrive_once_and_in_order_despite_failures() -> None:
    away = SinkUnavailable("memory", "is away")
    busy = Backpressure("memory", "is busy", retry_after_s=0.001)
    sink, outlet = deliver([away, busy, None, busy], count=600)
    assert sink.messages == [message(number) for number in range(600)]
    assert (outlet.report.acknowledged, outlet.report.lost) == (600, 0)
    assert outlet.report.error is None


def test_a_message_that_is_never_taken_is_counted_and_the_others_pass() -> None:
    refused = [message(number).message_id for number in (1, 3)]
    rejected = Rejected("memory", "message too large", message_ids=refused)
    sink, outlet = deliver([rejected], count=5)
    assert sink.messages == [message(number) for number in (0, 2, 4)]
    assert (outlet.report.acknowledged, outlet.report.dropped) == (3, {"rejected": 2})
    assert outlet.report.error == "sink 'memory': message too large (2 messages not delivered)"


def test_a_sink_that_is_refused_is_tried_again_and_loses_nothing() -> None:
    """Its password was changed, say: nothing is wrong with the messages."""
    sink, outlet = deliver([Rejected("memory", "wrong password")] * 3, count=5)
    assert sink.messages == [message(number) for number in range(5)]
    assert (outlet.report.acknowledged, outlet.report.lost, outlet.report.error) == (5, 0, None)


def test_a_sink_that_goes_on_failing_is_logged_once_in_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        deliver([SinkUnavailable("memory", "is away")] * 50, count=5)
    failed, recovered = caplog.messages
    assert failed.startswith("sink 'memory': is away; trying again in ")
    assert recovered == "sink 'memory' works again"


class SmallSink(MemorySink):
    """Takes 256 messages between two flushes, and asks for an hour if it gets more."""

    def __init__(self) -> None:
        super().__init__()
        self._unflushed = 0

    def write(self, messages: Sequence[Outgoing]) -> None:
        if self._unflushed:
            raise Backpressure(self.name, "is full", retry_after_s=3600)
        self._unflushed = len(messages)
        super().write(messages)

    def flush(self, timeout_s: float) -> None:
        self._unflushed = 0


def test_a_full_sink_is_flushed_before_it_is_waited_for() -> None:
    assert run(SmallSink(), count=600).report.acknowledged == 600


class Closing(MemorySink):
    """Gone at the first flush, or at the fourth write."""

    def __init__(self, *, at_flush: bool) -> None:
        busy = Backpressure("memory", "is full", retry_after_s=0)
        gone = SinkGone("memory", "is gone")
        super().__init__(failures=iter([None, busy] if at_flush else [None, None, None, gone]))
        self._at_flush = at_flush

    def flush(self, timeout_s: float) -> None:
        if self._at_flush:
            raise SinkGone(self.name, "is gone")
        super().flush(timeout_s)


@pytest.mark.parametrize("at_flush", [True, False])
def test_whatever_a_sink_had_in_hand_is_counted_when_it_is_gone(*, at_flush: bool) -> None:
    report = run(Closing(at_flush=at_flush), count=1000).report
    assert (report.acknowledged, report.waiting) == (0, 0)
    assert report.dropped == {"failed": 1000}
    assert report.error == "sink 'memory': is gone (1000 messages not delivered)"


def test_what_waits_for_a_flush_is_bounded() -> None:
    class Slow(MemorySink):
        most_unflushed = flushed = 0

        def flush(self, timeout_s: float) -> None:
            self.most_unflushed = max(self.most_unflushed, len(self.messages) - self.flushed)
            self.flushed = len(self.messages)

    class Stopped(SystemClock):
        def monotonic_s(self) -> float:
            return 0.0

    sink = Slow()
    sink.open()
    outlet = Outlet(sink, 30_000, "block", Stopped())
    for number in range(25_000):
        outlet.channel.put(message(number))
    outlet.channel.close()
    outlet.run()
    assert outlet.report.acknowledged == 25_000
    assert 10_000 <= sink.most_unflushed < 10_256


def test_abort_gives_up_what_a_dead_sink_never_takes() -> None:
    reached = threading.Event()

    def always() -> Iterator[SinkError]:
        while True:
            reached.set()
            yield SinkUnavailable("memory", "is dead")

    sink = MemorySink(failures=always())
    sink.open()
    outlet = Outlet(sink, capacity=10, when_full="block", clock=SystemClock())
    for number in range(3):
        outlet.channel.put(message(number))
    worker = threading.Thread(target=outlet.run)
    worker.start()
    assert reached.wait(10)
    outlet.abort()
    worker.join(10)
    assert not worker.is_alive()
    assert sink.messages == []
    assert (outlet.report.acknowledged, outlet.report.lost) == (0, 3)
    assert outlet.report.error == "sink 'memory': is dead (3 messages not delivered)"
