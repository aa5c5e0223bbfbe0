"""Results are published by whoever has them, where the publish thread has nothing to do."""

import threading
import time
from collections.abc import Callable

from detectors.scripted import ScriptedDetector
from pipeline.channel import WhenFull
from pipeline.config import BatchConfig
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.messages import FrameMessage, StreamStatusMessage, decode
from pipeline.outlets.outlet import Outlet
from pipeline.outlets.pixels import Pixels
from pipeline.run.flow import Flow
from pipeline.run.inbox import Detected
from pipeline.run.route import Route
from pipeline.stream.changes import StreamUp
from sinks.memory import MemorySink
from tests.pipeline.compose.test_compose import composer
from tests.pipeline.load.load_world import frame, idle_stream


class Way:
    """The way from a crew of so many to one sink, whose thread does not run."""

    def __init__(
        self, crew: int, capacity: int = 100, when_full: WhenFull = "block", batch: int = 2
    ) -> None:
        detector = ScriptedDetector(("person",), lambda _: Detections.empty(), concurrency=crew)
        self.outlet = Outlet(MemorySink(), capacity, when_full, SystemClock())
        self.flow = Flow(detector, BatchConfig(size=batch), SystemClock(), [self.outlet])
        self.stream = idle_stream(self.flow)
        self.flow.enter(Route(self.stream, composer(self.stream.account), Pixels()))

    def results(self, count: int) -> list[Detected]:
        """Of the next frames."""
        seqs = [self.stream.account.decode() for _ in range(count)]
        return [Detected(frame("gate", seq).info, Detections.empty(), None, None) for seq in seqs]

    def told(self) -> list[int | str]:
        """What the sink would get: frames by `seq`, statuses by name."""
        messages = [decode(message.body) for message in self.outlet.channel.take(100, 0)]
        return [
            message.seq if isinstance(message, FrameMessage) else message.status
            for message in messages
            if isinstance(message, FrameMessage | StreamStatusMessage)
        ]

    def told_by_end_of(self, publishing: threading.Thread) -> list[int | str]:
        """The same, all that comes until the thread ends."""
        told: list[int | str] = []
        deadline_s = time.monotonic() + 10
        while publishing.is_alive() and time.monotonic() < deadline_s:
            told += self.told()
            publishing.join(0.001)
        return told + self.told()

    @property
    def waiting(self) -> int:
        return self.flow.inbox.statistics().waiting


def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not is_so() and time.monotonic() < deadline_s:
        threading.Event().wait(0.001)
    assert is_so()


def test_results_are_published_behind_what_waits_already() -> None:
    way = Way(crew=2)
    way.flow.tell(StreamUp("gate", 0, 0, 0, None))
    way.flow.publish.offer(way.results(2))
    assert way.waiting == 0
    assert way.told() == ["up", 0, 1]


def test_all_that_waits_comes_first_however_much_large_batches_let_wait() -> None:
    way = Way(crew=2, capacity=400, batch=64)
    for result in way.results(150):
        way.flow.inbox.put(result)
    way.flow.publish.offer(way.results(1))
    assert way.told() + way.told() == list(range(151))


def test_one_engine_thread_is_not_held_up_by_publishing() -> None:
    way = Way(crew=1)
    way.flow.publish.offer(way.results(2))
    assert (way.waiting, way.told()) == (2, [])


def test_a_full_sink_holds_up_the_publish_thread_and_not_the_engine() -> None:
    way = Way(crew=2, capacity=2)
    offered = 0
    while way.outlet.channel.has_room:
        way.flow.publish.offer(way.results(1))
        offered += 1
    way.flow.publish.offer(way.results(2))
    assert (way.waiting, offered) == (2, 2)
    publishing = threading.Thread(target=way.flow.publish.run, daemon=True)
    publishing.start()
    until(lambda: way.waiting == 0)
    way.flow.publish.offer(way.results(1))  # beside the thread, which holds what comes before
    way.flow.publish.complete()
    assert way.told_by_end_of(publishing) == [0, 1, 2, 3, 4]


def test_results_after_an_abort_are_dropped_and_counted() -> None:
    way = Way(crew=2)
    way.flow.abort()
    way.flow.publish.offer(way.results(3))
    report = way.stream.account
    assert way.told() == []
    assert report.settled
    (told,) = way.flow.report().streams
    assert (told.decoded, told.published, told.dropped) == (3, 0, {"stopped": 3})


def test_many_results_beside_changes_stay_in_order() -> None:
    way = Way(crew=2, capacity=3)
    publishing = threading.Thread(target=way.flow.publish.run, daemon=True)
    publishing.start()

    def offer() -> None:
        for _ in range(300):
            way.flow.publish.offer(way.results(2))
        way.flow.publish.complete()

    offering = threading.Thread(target=offer, daemon=True)
    offering.start()
    assert way.told_by_end_of(publishing) == list(range(600))
