"""Pauses between tries, and how often a fault is told."""

import random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.supervise import Backoff, Repeats


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
