"""A lane: what it gives, what is too old for it, and whom it tells."""

import numpy as np
import pytest

from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.picture import RgbPicture
from pipeline.stream.lane import STARVED_S, Lane
from stages.batch import Turn


class Clock:
    def __init__(self) -> None:
        self.now_s = 10.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_ns(self) -> int:
        return 0


class Waiting:
    """A lane with frames that came at given seconds."""

    def __init__(
        self, *came_s: float, longest_age_s: float | None = 1.0, own: bool = False
    ) -> None:
        self.clock, self.late = Clock(), list[int]()
        self.lane = Lane(
            9, "drop_oldest", longest_age_s=longest_age_s, by_target=not own,
            on_drop=lambda frame: None, on_late=lambda frame: self.late.append(frame.info.seq),
            clock=self.clock,
        )  # fmt: skip
        for seq, at_s in enumerate(came_s):
            self.clock.now_s = at_s
            self.lane.put(frame(seq))

    def give(
        self, now_s: float, before_s: float = float("inf"), limit_s: float = 0.1
    ) -> int | None:
        given = self.lane.give(Turn(now_s, before_s, limit_s))
        return given[0].info.seq if given is not None else None


def frame(seq: int) -> Frame:
    info = FrameInfo(
        stream_id="a", epoch=0, seq=seq, pts_ns=0, captured_ns=0, arrived_ns=0, clock="arrival",
        uncertainty_ns=0, width=1, height=1,
    )  # fmt: skip
    return Frame(info, RgbPicture(np.zeros((1, 1, 3), np.uint8)))


def test_what_the_target_leaves_no_time_for_is_late_and_counted_in_the_turn() -> None:
    waiting, turn = Waiting(10.0, 10.05, 10.1, 10.15), Turn(10.2, longest_age_s=0.12)
    given = waiting.lane.give(turn)
    assert given is not None
    assert (given[0].info.seq, given[1]) == (2, 10.1)
    assert (waiting.late, turn.late) == ([0, 1], 2)
    assert waiting.lane.statistics().dropped == 2


def test_a_stream_with_its_own_age_does_not_heed_the_target() -> None:
    assert Waiting(10.0, own=True).give(10.9) == 0
    assert Waiting(10.0, own=True).give(11.1) is None
    assert Waiting(10.0, longest_age_s=None).give(99.0) == 0


def test_the_newest_frame_passes_if_it_came_during_the_batch_before() -> None:
    assert Waiting(10.0, 10.05).give(10.3, before_s=10.02) == 1
    assert Waiting(10.0, 10.05).give(10.3, before_s=10.06) is None


def test_a_stream_that_got_nothing_through_for_a_second_gets_its_newest_frame_in() -> None:
    assert Waiting(10.2, 10.3).give(10.0 + STARVED_S - 0.01) is None
    assert Waiting(10.2, 10.3).give(10.0 + STARVED_S) == 1


@pytest.mark.parametrize("emptied_by", ["give", "take"])
def test_whoever_watches_is_told_once_until_it_has_emptied_the_lane(emptied_by: str) -> None:
    waiting, told = Waiting(10.0), list[float]()
    waiting.lane.watch(lambda: told.append(waiting.clock.now_s))
    waiting.lane.put(frame(1))
    assert told == [10.0]
    if emptied_by == "take":
        waiting.lane.take(9)
        waiting.lane.put(frame(2))
        assert told == [10.0]  # whoever watches still has it in its queue
        assert waiting.give(10.01) == 2
    else:
        assert [waiting.give(10.01), waiting.give(10.01)] == [0, 1]
    waiting.lane.put(frame(3))
    assert told == [10.0, 10.0]
    waiting.lane.watch(None)
