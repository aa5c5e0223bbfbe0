"""Media time: exact, forward only, thinned without drift."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.sources.timing import SECOND_NS, MediaTime, Thinner, period_ns, to_ns

BASES = st.builds(Fraction, st.integers(1, 1001), st.integers(1, 200_000))


@given(st.integers(-(2**40), 2**62), BASES)
def test_ticks_become_nanoseconds_exactly(ticks: int, base: Fraction) -> None:
    exact = ticks * base * SECOND_NS
    assert 0 <= exact - to_ns(ticks, base) < 1


@given(st.lists(st.none() | st.integers(0, 10**12), min_size=2))
def test_time_never_stands_still_or_runs_back(stamps: list[int | None]) -> None:
    media = MediaTime(period_ns(Fraction(25)))
    times = [media.next(stamp) for stamp in stamps]
    assert all(before < after for before, after in pairwise(times))


def test_good_timestamps_pass_unchanged() -> None:
    media = MediaTime(40)
    assert [media.next(ns) for ns in (100, 140, 300)] == [100, 140, 300]
    assert media.repaired_total == 0


def test_missing_and_backward_timestamps_are_one_duration_later() -> None:
    media = MediaTime(40)
    assert [media.next(None), media.next(None, 33), media.next(20), media.next(500)] == [
        0, 33, 73, 500,
    ]  # fmt: skip
    assert media.repaired_total == 2


@pytest.mark.parametrize("fps", [None, 24, 30, 30.0, 60, 1000])
@pytest.mark.parametrize("tick_ns", [1, 1_000_000])
def test_a_rate_at_or_above_the_streams_own_keeps_all(fps: float | None, tick_ns: int) -> None:
    rate = 24 if fps == 24 else 30
    thinner = Thinner(fps)
    stamps = [index * SECOND_NS // rate // tick_ns * tick_ns for index in range(300)]
    assert all(thinner.keep(stamp) for stamp in stamps)


@given(st.integers(5, 60), st.floats(0.5, 60))
def test_no_more_and_not_much_less_than_the_rate_passes(rate: int, fps: float) -> None:
    thinner = Thinner(fps)
    kept = sum(thinner.keep(index * SECOND_NS // rate) for index in range(rate * 20))
    most = min(fps, rate) * 20
    assert most * 0.98 - 1 <= kept <= most * 1.001 + 1


JITTER_NS = 9_000_000


@given(st.lists(st.integers(-JITTER_NS, JITTER_NS), min_size=50, max_size=50))
@example([JITTER_NS, *[0] * 48, -JITTER_NS])
@example([JITTER_NS, -JITTER_NS] * 25)
@example([JITTER_NS] * 49 + [-JITTER_NS])
def test_jitter_costs_nothing_at_the_streams_own_rate(jitter_ns: list[int]) -> None:
    thinner = Thinner(25)
    assert all(thinner.keep(index * 40_000_000 + off) for index, off in enumerate(jitter_ns))


def test_a_gap_is_not_made_up_for() -> None:
    thinner = Thinner(10)
    thinner.keep(0)
    after = [thinner.keep(3600 * SECOND_NS + index * SECOND_NS // 25) for index in range(25)]
    assert sum(after) <= 11


@pytest.mark.parametrize("fps", [0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="fps must be above 0"):
        Thinner(fps)
