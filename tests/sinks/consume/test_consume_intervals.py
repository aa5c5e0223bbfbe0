"""Runs of numbers against plain sets."""

from hypothesis import given
from hypothesis import strategies as st

from sinks.consume.intervals import Intervals

RUNS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), max_size=30)


@given(RUNS, st.integers(0, 60), st.integers(0, 30))
def test_runs_hold_what_a_set_holds(runs: list[tuple[int, int]], first: int, more: int) -> None:
    numbers: set[int] = set()
    intervals = Intervals()
    for start, length in runs:
        new = set(range(start, start + length + 1))
        assert intervals.add(start, start + length) == len(new - numbers)
        numbers |= new
    assert [n for n in range(80) if n in intervals] == sorted(numbers)
    assert intervals.total == len(numbers)
    assert intervals.highest == max(numbers, default=None)
    assert len(intervals) == sum(n - 1 not in numbers for n in numbers)
    holes = intervals.holes(first, first + more)
    lacking = set(range(first, first + more + 1)) - numbers
    assert {n for a, b in holes for n in range(a, b + 1)} == lacking
    assert len(holes) == sum(n - 1 not in lacking for n in lacking)


def test_forgetting_keeps_the_highest_runs() -> None:
    intervals = Intervals()
    for number in range(0, 20, 2):
        intervals.add(number, number)
    intervals.forget(3)
    assert [n for n in range(20) if n in intervals] == [14, 16, 18]
    assert intervals.total == 3
