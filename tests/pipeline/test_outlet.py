"""Delivery to one sink: order, retries, and an account that adds up."""

import threading
from collections.abc import Iterator

from pipeline.core.clock import SystemClock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from pipeline.outlet import Outlet
from sinks.base import Outgoing
from sinks.memory import MemorySink


def message(number: int) -> Outgoing:
    return Outgoing("frame", "gate", f"{number:032x}", b"{}")


def deliver(failures: list[SinkError | None], count: int) -> tuple[MemorySink, Outlet]:
    sink = MemorySink(failures=iter(failures))
    sink.open()
    outlet = Outlet(sink, capacity=1000, when_full="block", clock=SystemClock())
    for number in range(count):
        outlet.channel.put(message(number))
    outlet.channel.close()
    outlet.run()
    return sink, outlet


def test_all_messages_arrive_once_and_in_order_despite_failures() -> None:
    away = SinkUnavailable("memory", "is away")
    busy = Backpressure("memory", "is busy", retry_after_s=0.001)
    sink, outlet = deliver([away, busy, None, busy], count=600)
    assert sink.messages == [message(number) for number in range(600)]
    assert (outlet.report.acknowledged, outlet.report.lost) == (600, 0)
    assert outlet.report.error is None


def test_a_message_that_is_never_taken_is_counted_and_the_others_pass() -> None:
    rejected = Rejected("memory", "message too large")
    sink, outlet = deliver([rejected, None, rejected], count=5)
    assert sink.messages == [message(number) for number in (0, 2, 3, 4)]
    assert (outlet.report.acknowledged, outlet.report.lost) == (4, 1)
    assert outlet.report.error == ("sink 'memory': message too large (1 messages not delivered)")


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
