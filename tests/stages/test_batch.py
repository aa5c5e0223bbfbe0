"""Batching: by size or deadline, in turn, held up by none. Time is a number here."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.clock import Clock
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.picture import RgbPicture
from stages.batch import Batcher, Turn


def make_frame(stream_id: str, seq: int) -> Frame:
    info = FrameInfo(
        stream_id=stream_id, epoch=0, seq=seq, pts_ns=seq, captured_ns=0, arrived_ns=0,
        clock="arrival", uncertainty_ns=0, width=1, height=1,
    )  # fmt: skip
    return Frame(info, RgbPicture(np.zeros((1, 1, 3), np.uint8)))


class QueueLane:
    """A lane in memory."""

    def __init__(
        self,
        name: str,
        waiting: int = 0,
        closed: bool = False,
        *,
        patient: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.name, self.closed, self.made, self.patient = name, closed, 0, patient
        self._clock = clock
        self.items: deque[tuple[Frame, float]] = deque()
        self._arrived: Callable[[], object] | None = None
        self.put(waiting)

    def put(self, count: int = 1) -> None:
        now_s = self._clock.monotonic_s() if self._clock is not None else 0.0
        for _ in range(count):
            self.items.append((make_frame(self.name, self.made), now_s))
            self.made += 1
            if len(self.items) == 1 and self._arrived is not None:
                self._arrived()

    def watch(self, arrived: Callable[[], object] | None) -> None:
        self._arrived = arrived
        if self.items and arrived is not None:
            arrived()

    def give(self, turn: Turn) -> tuple[Frame, float] | None:
        return self.items.popleft() if self.items else None

    @property
    def waiting(self) -> int:
        return len(self.items)

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


def batcher(
    script: Script, lanes: Sequence[QueueLane] = (), size: int = 8, within_s: float = 0.5
) -> Batcher:
    made = Batcher(script, size, within_s, script)
    for lane in lanes:
        made.lanes.append(lane)
    return made


def names(batch: list[Frame]) -> str:
    return "".join(frame.info.stream_id for frame in batch)


def test_a_full_batch_does_not_wait() -> None:
    script = Script()
    batch = batcher(script, [QueueLane("a", 9), QueueLane("b", 9)], size=4).take()
    assert names(batch) == "abab"
    assert script.elapsed_s == 0


def test_the_turn_goes_on_over_batches() -> None:
    lanes = [QueueLane(name, 9) for name in "abc"]
    batches = batcher(Script(), lanes, size=2)
    assert [names(batches.take()) for _ in range(3)] == ["ab", "ca", "bc"]


def test_the_first_frame_is_waited_for_however_long() -> None:
    lane = QueueLane("a")
    script = Script((60.0, lane.put))
    assert names(batcher(script, [lane]).take()) == "a"
    assert script.elapsed_s == 60.0


def test_a_lane_alone_is_not_waited_for_again() -> None:
    script = Script()
    assert names(batcher(script, [QueueLane("a", 1)]).take()) == "a"
    assert script.elapsed_s == 0


def test_another_lane_is_waited_for_until_it_gives() -> None:
    late = QueueLane("b")
    script = Script((0.2, late.put))
    assert names(batcher(script, [QueueLane("a", 1), late]).take()) == "ab"
    assert script.elapsed_s == pytest.approx(0.2)


def test_the_deadline_counts_from_the_first_frame_and_is_not_renewed() -> None:
    lanes = [QueueLane("a"), QueueLane("b"), QueueLane("c")]
    script = Script((3.0, lanes[0].put), (3.4, lanes[1].put), (3.6, lanes[2].put))
    assert names(batcher(script, lanes).take()) == "ab"
    assert script.elapsed_s == pytest.approx(3.5)


def test_an_absent_lane_costs_one_deadline_and_counts_again_once_it_gives() -> None:
    present, absent = QueueLane("a", 1), QueueLane("b")
    script = Script()
    batches = batcher(script, [present, absent])
    waits = []
    for _ in range(3):
        before_s = script.now_s
        assert names(batches.take()) == "a"
        waits.append(script.now_s - before_s)
        present.put()
    assert waits == pytest.approx([0.5, 0, 0])
    absent.put()
    assert sorted(names(batches.take())) == ["a", "b"]
    present.put()
    before_s = script.now_s
    batches.take()
    assert script.now_s - before_s == pytest.approx(0.5)


def test_a_finished_lane_is_not_waited_for() -> None:
    script = Script()
    lanes = [QueueLane("a", 1), QueueLane("b", 0, closed=True)]
    assert names(batcher(script, lanes).take()) == "a"
    assert script.elapsed_s == 0


def test_no_deadline_takes_what_is_there() -> None:
    script = Script()
    lanes = [QueueLane("a", 2), QueueLane("b")]
    assert names(batcher(script, lanes, within_s=0).take()) == "aa"
    assert script.elapsed_s == 0


def test_all_finished_ends() -> None:
    lane = QueueLane("a")

    def close() -> None:
        lane.closed = True

    assert batcher(Script((5.0, close)), [lane]).take() == []
    assert batcher(Script()).take() == []


def test_lanes_come_and_go_while_it_waits() -> None:
    old, new = QueueLane("a"), QueueLane("b", 1)

    def swap() -> None:
        batches.lanes.remove(old)
        batches.lanes.append(new)

    batches = batcher(Script((1.0, swap)), [old])
    assert names(batches.take()) == "b"


def test_a_lane_that_was_removed_gives_nothing_more() -> None:
    gone, stays = QueueLane("a", 3), QueueLane("b", 3)
    batches = batcher(Script(), [gone, stays], size=2)
    assert names(batches.take()) == "ab"
    batches.lanes.remove(gone)
    gone.put()
    assert list(batches.lanes) == [stays]
    assert names(batches.take()) == "bb"


@pytest.mark.parametrize(("size", "within_s"), [(0, 0.1), (1, -0.1)])
def test_nonsense_is_refused(size: int, within_s: float) -> None:
    with pytest.raises(ValueError, match="Batcher: size"):
        Batcher(threading.Condition(), size, within_s)


@given(st.integers(1, 9), st.integers(1, 6))
def test_full_lanes_are_served_alike_after_every_frame(size: int, count: int) -> None:
    lanes = [QueueLane(f"{number}", 200) for number in range(count)]
    batches = batcher(Script(), lanes, size=size)
    served: Counter[str] = Counter({lane.name: 0 for lane in lanes})
    for _ in range(20):
        for frame in batches.take():
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
    batches = batcher(script, lanes, size, within_s)
    seen: dict[str, list[int]] = {lane.name: [] for lane in lanes}
    while batch := batches.take():
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

    batches = Batcher(condition, 5, 0.001)
    for lane in lanes:
        batches.lanes.append(lane)
    feeders = [threading.Thread(target=feed, args=(lane,), daemon=True) for lane in lanes]
    for feeder in feeders:
        feeder.start()
    taken: Counter[str] = Counter()
    while batch := batches.take():
        taken.update(frame.info.stream_id for frame in batch)
    assert taken == {"a": 200, "b": 200, "c": 200}


@pytest.mark.parametrize(
    ("waiting", "threads", "sizes"),
    [
        ((2,), 2, [1, 1]),
        ((4,), 2, [2, 1, 1]),
        ((1, 1, 1), 2, [2, 1]),
        ((9, 9), 2, [4, 4, 4, 3, 2, 1]),
    ],
)
def test_each_of_several_threads_takes_its_share_of_what_waits(
    waiting: Sequence[int], threads: int, sizes: list[int]
) -> None:
    """The others will be free as soon, and two batches side by side are over before one of both."""
    batcher = Batcher(Script(), 4, 0.0, Script(), threads=threads)
    for number, count in enumerate(waiting):
        batcher.lanes.append(QueueLane(f"{number}", count, closed=True))
    taken = []
    while batch := batcher.take():
        taken.append(len(batch))
    assert taken[: len(sizes)] == sizes
    assert sum(taken) == sum(waiting)
