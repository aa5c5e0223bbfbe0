"""Batching: by size or deadline, in turn, held up by none. Time is a number here."""

import threading
from collections import Counter, deque
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.frame import Frame, FrameInfo
from stages.batch import Batcher


def make_frame(stream_id: str, seq: int) -> Frame:
    info = FrameInfo(
        stream_id=stream_id, epoch=0, seq=seq, pts_ns=seq, captured_ns=0, arrived_ns=0,
        clock="arrival", uncertainty_ns=0, width=1, height=1,
    )  # fmt: skip
    return Frame(info, np.zeros((1, 1, 3), np.uint8))


class QueueLane:
    """A lane in memory."""

    def __init__(self, name: str, waiting: int = 0, closed: bool = False) -> None:
        self.name, self.closed, self.made = name, closed, 0
        self.items: deque[Frame] = deque()
        self.put(waiting)

    def put(self, count: int = 1) -> None:
        for _ in range(count):
            self.items.append(make_frame(self.name, self.made))
            self.made += 1

    def take_nowait(self) -> Frame | None:
        return self.items.popleft() if self.items else None

    @property
    def finished(self) -> bool:
        return self.closed and not self.items


class Script(threading.Condition):
    """Clock and condition in one: what happens later is a list of (at second, action)."""

    def __init__(self, *events: tuple[float, Callable[[], object]]) -> None:
        super().__init__()
        self.now_s = 100.0
        self.events = deque((100.0 + at_s, action) for at_s, action in events)

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_ns(self) -> int:
        return 0

    def wait(self, timeout: float | None = None) -> bool:
        until_s = float("inf") if timeout is None else self.now_s + timeout
        if self.events and self.events[0][0] <= until_s:
            at_s, action = self.events.popleft()
            self.now_s = max(self.now_s, at_s)
            action()
            return True
        assert timeout is not None, "waits for ever"
        self.now_s = until_s
        return False

    @property
    def elapsed_s(self) -> float:
        return self.now_s - 100.0


def batcher(script: Script, size: int = 8, within_s: float = 0.5) -> Batcher:
    return Batcher(script, size, within_s, script)


def names(batch: list[Frame]) -> str:
    return "".join(frame.info.stream_id for frame in batch)


def test_a_full_batch_does_not_wait() -> None:
    script = Script()
    batch = batcher(script, size=4).take([QueueLane("a", 9), QueueLane("b", 9)])
    assert names(batch) == "abab"
    assert script.elapsed_s == 0


def test_the_turn_goes_on_over_batches() -> None:
    lanes = [QueueLane(name, 9) for name in "abc"]
    batches = batcher(Script(), size=2)
    assert [names(batches.take(lanes)) for _ in range(3)] == ["ab", "ca", "bc"]


def test_the_first_frame_is_waited_for_however_long() -> None:
    lane = QueueLane("a")
    script = Script((60.0, lane.put))
    assert names(batcher(script).take([lane])) == "a"
    assert script.elapsed_s == 60.0


def test_a_lane_alone_is_not_waited_for_again() -> None:
    script = Script()
    assert names(batcher(script).take([QueueLane("a", 1)])) == "a"
    assert script.elapsed_s == 0


def test_another_lane_is_waited_for_until_it_gives() -> None:
    late = QueueLane("b")
    script = Script((0.2, late.put))
    assert names(batcher(script).take([QueueLane("a", 1), late])) == "ab"
    assert script.elapsed_s == pytest.approx(0.2)


def test_the_deadline_counts_from_the_first_frame_and_is_not_renewed() -> None:
    lanes = [QueueLane("a"), QueueLane("b"), QueueLane("c")]
    script = Script((3.0, lanes[0].put), (3.4, lanes[1].put), (3.6, lanes[2].put))
    assert names(batcher(script).take(lanes)) == "ab"
    assert script.elapsed_s == pytest.approx(3.5)


def test_an_absent_lane_costs_one_deadline_and_counts_again_once_it_gives() -> None:
    present, absent = QueueLane("a", 1), QueueLane("b")
    script = Script()
    batches = batcher(script)
    waits = []
    for _ in range(3):
        before_s = script.now_s
        assert names(batches.take([present, absent])) == "a"
        waits.append(script.now_s - before_s)
        present.put()
    assert waits == pytest.approx([0.5, 0, 0])
    absent.put()
    assert sorted(names(batches.take([present, absent]))) == ["a", "b"]
    present.put()
    before_s = script.now_s
    batches.take([present, absent])
    assert script.now_s - before_s == pytest.approx(0.5)


def test_a_finished_lane_is_not_waited_for() -> None:
    script = Script()
    lanes = [QueueLane("a", 1), QueueLane("b", 0, closed=True)]
    assert names(batcher(script).take(lanes)) == "a"
    assert script.elapsed_s == 0


def test_no_deadline_takes_what_is_there() -> None:
    script = Script()
    lanes = [QueueLane("a", 2), QueueLane("b")]
    assert names(batcher(script, within_s=0).take(lanes)) == "aa"
    assert script.elapsed_s == 0


def test_all_finished_ends() -> None:
    lane = QueueLane("a")

    def close() -> None:
        lane.closed = True

    assert batcher(Script((5.0, close))).take([lane]) == []
    assert batcher(Script()).take([]) == []


def test_lanes_come_and_go_while_it_waits() -> None:
    lanes = [QueueLane("a")]

    def swap() -> None:
        lanes[:] = [QueueLane("b", 1)]

    assert names(batcher(Script((1.0, swap))).take(lanes)) == "b"


@pytest.mark.parametrize(("size", "within_s"), [(0, 0.1), (1, -0.1)])
def test_nonsense_is_refused(size: int, within_s: float) -> None:
    with pytest.raises(ValueError, match="Batcher: size"):
        Batcher(threading.Condition(), size, within_s)


@given(st.integers(1, 9), st.integers(1, 6))
def test_full_lanes_are_served_alike_after_every_frame(size: int, count: int) -> None:
    lanes = [QueueLane(f"{number}", 200) for number in range(count)]
    batches = batcher(Script(), size=size)
    served: Counter[str] = Counter({lane.name: 0 for lane in lanes})
    for _ in range(20):
        for frame in batches.take(lanes):
            served[frame.info.stream_id] += 1
            assert max(served.values()) - min(served.values()) <= 1


Puts = st.lists(st.tuples(st.floats(0, 0.3), st.integers(0, 3)), max_size=60)


@given(st.integers(1, 6), st.sampled_from([0.0, 0.1, 1.0]), Puts)
def test_nothing_is_lost_doubled_or_out_of_order(
    size: int, within_s: float, puts: list[tuple[float, int]]
) -> None:
    lanes = [QueueLane(f"{number}") for number in range(4)]

    def close_all() -> None:
        for lane in lanes:
            lane.closed = True

    at_s, events = 0.0, list[tuple[float, Callable[[], object]]]()
    for pause_s, number in puts:
        at_s += pause_s
        events.append((at_s, lanes[number].put))
    script = Script(*events, (at_s, close_all))
    batches = batcher(script, size, within_s)
    seen: dict[str, list[int]] = {lane.name: [] for lane in lanes}
    while batch := batches.take(lanes):
        assert len(batch) <= size
        for frame in batch:
            seen[frame.info.stream_id].append(frame.info.seq)
    assert seen == {lane.name: list(range(lane.made)) for lane in lanes}
    assert sum(lane.made for lane in lanes) == len(puts)


def test_real_threads_lose_nothing() -> None:
    condition = threading.Condition()
    lanes = [QueueLane(name) for name in "abc"]

    def feed(lane: QueueLane) -> None:
        for _ in range(200):
            with condition:
                lane.put()
                condition.notify_all()
        with condition:
            lane.closed = True
            condition.notify_all()

    feeders = [threading.Thread(target=feed, args=(lane,), daemon=True) for lane in lanes]
    for feeder in feeders:
        feeder.start()
    batches = Batcher(condition, 5, 0.001)
    taken: Counter[str] = Counter()
    while batch := batches.take(lanes):
        taken.update(frame.info.stream_id for frame in batch)
    assert taken == {"a": 200, "b": 200, "c": 200}
