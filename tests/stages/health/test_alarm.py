"""Hysteresis: what lasts is told, what flickers is not."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from stages.health.alarm import Alarm


def changes(judgements: Sequence[bool], start_s: float = 3, end_s: float = 2) -> list[int]:
    """At which of the judgements, one a second, the alarm changed."""
    alarm = Alarm(start_s, end_s)
    return [second for second, bad in enumerate(judgements) if alarm.update(bad, float(second))]


def test_it_starts_late_and_ends_late() -> None:
    assert changes([False] * 5 + [True] * 10 + [False] * 10) == [8, 17]


def test_a_break_begins_the_wait_anew() -> None:
    assert changes([True, True, False] * 5 + [True] * 10) == [18]
    assert changes([True] * 5 + [False, True] * 10 + [False] * 10) == [3, 27]


def test_reset_ends_it_and_says_whether_it_was_on() -> None:
    alarm = Alarm(0, 0)
    assert not alarm.reset()
    assert alarm.update(True, 0)
    assert alarm.reset()
    assert not alarm.active
    assert alarm.update(True, 1)
    assert alarm.starts_total == 2


@given(st.lists(st.booleans(), max_size=80), st.integers(0, 5), st.integers(0, 5))
def test_no_two_changes_are_closer_than_the_waits(
    judgements: list[bool], start_s: int, end_s: int
) -> None:
    times = changes(judgements, start_s, end_s)
    waits = [end_s, start_s] * len(times)
    assert all(
        after - before >= min(wait, 1)
        and all(judgements[at] == judgements[after] for at in range(after - wait, after + 1))
        for before, after, wait in zip(times, times[1:], waits, strict=False)
    )
