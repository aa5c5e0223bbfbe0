"""The account of a channel holds whatever two threads do to it."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.channel import Channel, WhenFull

POLICIES = st.sampled_from(["drop_oldest", "drop_newest"])


@given(
    policy=POLICIES,
    capacity=st.integers(1, 5),
    actions=st.lists(st.sampled_from(["put", "take", "close", "abort"]), max_size=60),
)
def test_offered_is_taken_plus_dropped_plus_waiting(
    policy: WhenFull, capacity: int, actions: list[str]
) -> None:
    dropped: list[int] = []
    channel: Channel[int] = Channel(capacity, policy, on_drop=dropped.append)
    offered, taken = 0, []
    for action in actions:
        if action == "put":
            channel.put(offered)
            offered += 1
        elif action == "take":
            taken += channel.take(2, within_s=0)
        elif action == "close":
            channel.close()
        else:
            channel.abort()
        now = channel.statistics()
        assert now.offered == offered == now.taken + now.dropped + now.waiting
        assert (now.taken, now.dropped) == (len(taken), len(dropped))
        assert now.waiting <= capacity
    taken += channel.take(capacity, within_s=0)
    assert taken == sorted(taken)
    assert sorted(taken + dropped) == list(range(offered))


def test_drop_oldest_keeps_the_newest_and_drop_newest_the_oldest() -> None:
    oldest: Channel[int] = Channel(2, "drop_oldest")
    newest: Channel[int] = Channel(2, "drop_newest")
    for item in range(5):
        oldest.put(item)
        newest.put(item)
    assert oldest.take(9) == [3, 4]
    assert newest.take(9) == [0, 1]


def test_block_passes_everything_in_order_between_threads() -> None:
    channel: Channel[int] = Channel(3, "block")

    def produce() -> None:
        for item in range(1000):
            assert channel.put(item)
        channel.close()

    producer = threading.Thread(target=produce)
    producer.start()
    taken: list[int] = []
    while items := channel.take(7):
        taken += items
    producer.join(10)
    assert taken == list(range(1000))
    assert channel.finished


def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not is_so() and time.monotonic() < deadline_s:
        threading.Event().wait(0.001)
    assert is_so()


def test_who_waits_for_room_is_woken_once_there_is_as_much_as_was_asked_for() -> None:
    channel: Channel[int] = Channel(4, "block", refill_at=2)
    for item in range(4):
        channel.put(item)
    assert not channel.has_room
    producer = threading.Thread(target=lambda: [channel.put(item) for item in (4, 5)])
    producer.start()
    room: Any = channel._room
    until(lambda: len(room._waiters) == 1)
    assert channel.take(1) == [0]
    assert len(room._waiters) == 1
    assert channel.take_first(lambda item: True) == 1
    producer.join(10)
    assert not producer.is_alive()
    assert channel.take(9) == [2, 3, 4, 5]
    assert channel.has_room


def test_wait_ends_with_an_item_which_it_leaves_and_with_the_end() -> None:
    channel: Channel[int] = Channel(2, "block")
    channel.wait(0)
    waiting = threading.Thread(target=channel.wait)
    waiting.start()
    channel.put(1)
    waiting.join(10)
    assert not waiting.is_alive()
    assert channel.take(2) == [1]
    channel.close()
    channel.wait()
    assert channel.finished


def test_close_frees_a_blocked_put_and_counts_its_item_as_dropped() -> None:
    channel: Channel[int] = Channel(1, "block")
    channel.put(1)
    results: list[bool] = []
    blocked = threading.Thread(target=lambda: results.append(channel.put(2)))
    blocked.start()
    channel.close()
    blocked.join(10)
    assert results == [False]
    assert channel.take(5) == [1]
    assert channel.take(5) == []
    assert channel.statistics().dropped == 1


def test_take_ends_when_aborted() -> None:
    channel: Channel[int] = Channel(1, "block")
    results: list[list[int]] = []
    waiting = threading.Thread(target=lambda: results.append(channel.take(1)))
    waiting.start()
    channel.abort()
    waiting.join(10)
    assert results == [[]]


def test_a_channel_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        Channel(0, "block")


def test_a_drop_is_told_before_any_later_item_can_be_taken() -> None:
    told: list[int] = []
    seen: list[tuple[int, list[int]]] = []
    channel: Channel[int] = Channel(1, "drop_oldest", on_drop=told.append)

    def consume() -> None:
        while items := channel.take(1):
            seen.append((items[0], list(told)))

    consumer = threading.Thread(target=consume)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        consumer.start()
        for item in range(20_000):
            channel.put(item)
        channel.close()
        consumer.join(30)
    finally:
        sys.setswitchinterval(interval)
    taken = [item for item, _ in seen]
    for place, (item, known) in enumerate(seen):
        before = set(range(item)) - set(taken[:place])
        assert before <= set(known)


def test_who_waits_for_a_share_of_the_room_is_woken_when_somebody_waits_for_them() -> None:
    channel: Channel[int] = Channel(4, "block", refill_at=0)
    for item in range(4):
        channel.put(item)
    producer = threading.Thread(target=lambda: channel.put(4))
    producer.start()
    room: Any = channel._room
    until(lambda: len(room._waiters) == 1)
    assert channel.take(1) == [0]
    assert len(room._waiters) == 1
    channel.refill_at_once()
    producer.join(10)
    assert not producer.is_alive()
