"""Pauses between tries, and how often a fault is told."""

import logging
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.backoff import Backoff
from pipeline.core.errors import Backpressure, Rejected, SinkUnavailable
from pipeline.supervise import Repeats, Retries


@given(st.integers(0, 2**32), st.integers(1, 60), st.floats(0, 1))
def test_pauses_double_to_a_cap_and_jitter_below_it(seed: int, tries: int, least: float) -> None:
    backoff = Backoff(0.5, 30.0, random.Random(seed), least=least)
    for number in range(tries):
        bound_s = min(30.0, 0.5 * 2**number)
        assert least * bound_s <= backoff.pause_s() <= bound_s
    backoff.succeed()
    assert backoff.pause_s() <= 0.5


def test_two_cameras_do_not_come_back_in_step() -> None:
    assert len({round(Backoff().pause_s(), 6) for _ in range(20)}) > 15


def test_a_repeated_fault_is_said_at_first_and_then_once_in_a_while() -> None:
    now_s = 0.0
    repeats = Repeats(300, lambda: now_s)
    assert repeats.note("lost") == ""
    assert [repeats.note("lost") for _ in range(3)] == [None] * 3
    assert repeats.note("auth") == ""
    now_s = 300.0
    assert repeats.note("lost") == " (3 more like it since this was last said)"
    now_s = 600.0
    assert repeats.note("lost") == ""


class Pauses(threading.Event):
    """Notes for how long it is waited for, and lets nobody wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited_s.append(timeout or 0.0)
        return False


def test_a_sink_is_tried_again_soon_where_it_is_away_and_as_it_says_where_it_is_busy() -> None:
    retries, over = Retries(lambda: 0.0), Pauses()
    for _ in range(30):
        retries.pause(SinkUnavailable("hook", "is away"), over)
    retries.pause(Backpressure("hook", "is busy", retry_after_s=7.0), over)
    retries.pause(Rejected("hook", "wrong password"), over)
    retries.pause(Rejected("hook", "wrong password"), over, most_s=0.1)
    retries.pause(Backpressure("hook", "is busy", retry_after_s=-1.0), over)
    assert 0.1 <= over.waited_s[0] <= 0.2
    assert all(2.5 <= pause_s <= 5.0 for pause_s in over.waited_s[10:30])
    assert over.waited_s[30] == 7.0
    assert 0.5 <= over.waited_s[31] <= 1.0
    assert over.waited_s[32:] == [0.1, 0.0]
    assert retries.trouble == "sink 'hook': is busy"
    retries.succeed()
    assert retries.trouble is None
    retries.pause(SinkUnavailable("hook", "is away"), over)
    assert over.waited_s[-1] <= 0.2


def test_the_failures_of_a_sink_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    retries, over = Retries(lambda: now_s), Pauses()
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            retries.pause(SinkUnavailable("hook", "is away"), over)
        now_s = 60.0
        retries.pause(SinkUnavailable("hook", "is away"), over)
    assert len(caplog.messages) == 2
    assert caplog.messages[1].endswith("(99 more like it since this was last said)")


def test_a_sink_that_works_again_is_said_once_where_its_trouble_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    retries, over = Retries(lambda: 0.0), Pauses()
    with caplog.at_level(logging.WARNING):
        retries.succeed()
        retries.pause(Backpressure("hook", "is busy", retry_after_s=1.0), over)
        retries.succeed()
        assert len(caplog.messages) == 1
        for _ in range(2):
            retries.pause(SinkUnavailable("hook", "is away"), over)
            retries.succeed()
            retries.succeed()
    assert caplog.messages[2:] == ["sink 'hook' works again"]
