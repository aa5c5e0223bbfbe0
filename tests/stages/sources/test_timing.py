"""Media time: exact, forward only, thinned without drift."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.core.clock import SECOND_NS, period_ns, to_ns
from stages.sources.timing import LONGEST_LIVE_GAP_NS, MediaTime, Thinner

BASES = st.builds(Fraction, st.integers(1, 1001), st.integers(1, 200_000))


@given(st.integers(-(2**40), 2**62), BASES)
def test_ticks_become_nanoseconds_exactly(ticks: int, base: Fraction) -> None:
    exact = ticks * base * SECOND_NS
    assert 0 <= exact - to_ns(ticks, base) < 1


STAMPS = st.lists(st.none() | st.integers(-(10**12), 10**16), min_size=2)


@given(STAMPS)
def test_time_ascends_until_it_jumps(stamps: list[int | None]) -> None:
    media = MediaTime(period_ns(Fraction(25)))
    times = [media.next(stamp) for stamp in stamps]
    for before, after in pairwise(times):
        assert after.elapsed_ns > before.elapsed_ns
        assert after.jumps in {before.jumps, before.jumps + 1}
        assert after.jumps > before.jumps or after.pts_ns > before.pts_ns


def test_good_timestamps_pass_unchanged() -> None:
    media = MediaTime(40)
    assert [media.next(ns).pts_ns for ns in (100, 140, 300)] == [100, 140, 300]
    assert media.times.repaired_total == 0


def test_missing_and_backward_timestamps_are_one_duration_later() -> None:
    media = MediaTime(40)
    times = [media.next(None), media.next(None, 33), media.next(20), media.next(500)]
    assert [time.pts_ns for time in times] == [0, 33, 73, 500]
    assert [time.known for time in times] == [False, False, False, True]
    assert media.times.repaired_total == 2


def test_a_time_that_lags_behind_the_made_up_one_is_followed_from_its_second_picture_on() -> None:
    """A camera whose clock begins at 0, and whose first picture has no time."""
    media = MediaTime(40)
    times = [media.next(ns) for ns in (None, 0, 40, 80, 120)]
    assert [time.pts_ns for time in times] == [0, 40, 40, 80, 120]
    assert [time.known for time in times] == [False, False, True, True, True]
    assert [time.jumps for time in times] == [0, 0, 1, 1, 1]


TURNS = [2**33 * SECOND_NS // 90_000, 2**32 * SECOND_NS // 90_000, 2**32 * SECOND_NS // 1000]


@given(st.sampled_from(TURNS), st.integers(1, 200), st.integers(1, 1000))
def test_a_wrap_leaves_no_trace(turn_ns: int, before: int, step_ms: int) -> None:
    media = MediaTime(period_ns(Fraction(25)))
    start_ns, step_ns = turn_ns - before * 40_000_000, step_ms * 1_000_000
    times = [media.next((start_ns + index * step_ns) % turn_ns) for index in range(300)]
    assert [time.pts_ns for time in times] == [start_ns + i * step_ns for i in range(300)]
    assert (media.times.wraps_total, media.times.jumps_total, media.times.repaired_total) == (
        int(start_ns + 299 * step_ns >= turn_ns), 0, 0,
    )  # fmt: skip


def test_packets_around_a_wrap_are_counted_as_the_pictures_are() -> None:
    turn_ns = TURNS[0]
    media = MediaTime(40)
    media.next(turn_ns - 40)
    assert media.unwrapped(40) == turn_ns + 40
    media.next(0)
    assert media.unwrapped(turn_ns - 40) == turn_ns - 40
    assert media.unwrapped(80) == turn_ns + 80
    assert media.times.wraps_total == 1


@given(st.integers(1_100_000_000, 10**13), st.booleans(), st.integers(2, 50))
def test_a_jump_is_one_repair_and_a_new_epoch(off_ns: int, back: bool, count: int) -> None:
    period = 40_000_000
    media = MediaTime(period, LONGEST_LIVE_GAP_NS)
    off_ns = -off_ns if back else off_ns + LONGEST_LIVE_GAP_NS
    start = 10**13
    stamps = [start + index * period + (off_ns if index >= count else 0) for index in range(60)]
    times = [media.next(stamp) for stamp in stamps]
    assert [time.jumps for time in times] == [0] * (count + 1) + [1] * (59 - count)
    assert [time.pts_ns for time in times[count + 1 :]] == stamps[count + 1 :]
    assert [time.elapsed_ns for time in times] == [index * period for index in range(60)]
    assert media.times.repaired_total == 1


FAR = st.integers(20 * SECOND_NS, 10**15)


@given(st.lists(FAR | FAR.map(int.__neg__), min_size=60, max_size=60), st.integers(2, 50))
def test_lone_wrong_timestamps_make_no_epoch(wrong: list[int], every: int) -> None:
    media = MediaTime(40_000_000, LONGEST_LIVE_GAP_NS)
    bad = range(1, 60, every)
    stamps = [10**13 + i * 40_000_000 + (wrong[i] if i in bad else 0) for i in range(60)]
    times = [media.next(stamp) for stamp in stamps]
    assert all(before.pts_ns < after.pts_ns for before, after in pairwise(times))
    assert media.times.jumps_total == 0


def test_a_recording_of_moving_scenes_keeps_its_pauses() -> None:
    media = MediaTime(40_000_000)
    stamps = [minutes * 60 * SECOND_NS for minutes in (0, 1, 31, 90)]
    assert [media.next(stamp).pts_ns for stamp in stamps] == stamps
    assert media.times.jumps_total == media.times.repaired_total == 0


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


@given(st.integers(5, 60), st.floats(0.5, 30), st.integers(0, 900))
def test_what_passes_is_even_in_every_stretch_of_time(rate: int, fps: float, first: int) -> None:
    thinner = Thinner(fps)
    stamps = [index * SECOND_NS // rate for index in range(rate * 20)]
    kept = [stamp for stamp in stamps if thinner.keep(stamp)]
    begin, span = first * SECOND_NS // 100, 10
    inside = sum(begin <= stamp < begin + span * SECOND_NS for stamp in kept)
    assert abs(inside - span * min(fps, rate)) <= 2 + 0.02 * span * min(fps, rate)
