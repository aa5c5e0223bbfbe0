"""The measurement of a hop: both threads end, and every item is one."""

import threading

from benchmarks.channel import WAITING, crowd, floor_us, hops_us
from pipeline.channel import Channel


def test_every_item_makes_a_hop_and_nobody_is_left_waiting() -> None:
    before = threading.active_count()
    condition = threading.Condition()
    with crowd(condition):
        assert threading.active_count() == before + WAITING
        there: Channel[int] = Channel(4, "block", condition=condition)
        back: Channel[int] = Channel(4, "block")
        hops = hops_us(there, back, 30)
    assert threading.active_count() == before
    assert len(hops) == len(floor_us(30)) == 30
    assert min(hops) > 0
    assert there.statistics().taken == back.statistics().taken == 30
