"""The search judges few sets, and never chooses what its own evidence forbids."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.quantize.selection import (
    RESOLUTION,
    Candidate,
    Layers,
    Unit,
    choose,
    first_within,
    frontier,
    path,
    trimmed,
)

NAMES = [f"layer{n}" for n in range(12)]
drops = st.floats(-1, 5, allow_nan=False)
sizes = st.floats(0, 1, allow_nan=False)


@st.composite
def units(draw: st.DrawFn) -> list[Unit]:
    """Each layer alone, with any error and any cost."""
    count = draw(st.integers(1, len(NAMES)))
    costs = st.floats(-0.1, 0.5, allow_nan=False)
    return [Unit(name, frozenset([name]), draw(sizes), draw(costs)) for name in NAMES[:count]]


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    """Sets that were measured, the float network among them."""
    ms = st.floats(1, 20, allow_nan=False)
    some = [
        Candidate(f"set{n}", frozenset(NAMES[: draw(st.integers(0, 11))]), draw(drops), draw(ms))
        for n in range(draw(st.integers(0, 8)))
    ]
    return [*some, Candidate("fp32", frozenset(NAMES), 0.0, draw(ms))]


@given(units(), st.sets(st.sampled_from(NAMES)))
def test_a_path_grows_from_what_stays_float_to_all(some: list[Unit], always: set[str]) -> None:
    sets = path(some, frozenset(always))
    assert sets[0] == always
    assert sets[-1] == always.union(*(unit.layers for unit in some))
    assert all(small < large for small, large in pairwise(sets))


@given(units())
def test_a_path_does_not_depend_on_the_order_of_the_units(some: list[Unit]) -> None:
    assert path(some) == path(reversed(some))


def test_what_saves_most_error_per_time_goes_first() -> None:
    some = [
        Unit("dear", frozenset("d"), 1.0, 0.5),
        Unit("cheap", frozenset("c"), 0.5, 0.01),
        Unit("free", frozenset("f"), 0.4, -0.02),
        Unit("harmless", frozenset("h"), 0.0, -0.1),
    ]
    assert path(some) == [frozenset(part) for part in ("", "f", "fc", "fcd", "fcdh")]


@given(units(), sizes)
def test_where_errors_add_up_bisection_finds_the_smallest_set(
    some: list[Unit], max_drop: float
) -> None:
    judged: list[Layers] = []

    def judge(left: Layers) -> float:
        judged.append(left)
        return math.fsum(unit.error for unit in some if not unit.layers <= left)

    sets = path(some)
    found = first_within(sets, judge, max_drop)
    assert judge(found) <= max_drop
    assert len(judged) <= math.ceil(math.log2(len(sets))) + 1
    smaller = sets[: sets.index(found)]
    assert all(judge(left) > max_drop for left in smaller)


@given(units(), st.data(), sizes, st.integers(0, 12))
def test_whatever_sets_lose_what_is_kept_is_within(
    some: list[Unit], data: st.DataObject, max_drop: float, tries: int
) -> None:
    """Losses may be anything: they are noisy, and need not fall with more layers in float."""
    everything = path(some)[-1]
    losses: dict[Layers, float] = {everything: 0.0}

    def judge(left: Layers) -> float:
        if left not in losses:
            losses[left] = data.draw(drops)
        return losses[left]

    found = first_within(path(some), judge, max_drop)
    assert judge(found) <= max_drop
    before = len(losses)
    small = trimmed(found, some, judge, max_drop, tries)
    assert judge(small) <= max_drop
    assert small <= found
    assert len(losses) <= before + tries


def test_the_least_worthy_is_spared_first() -> None:
    some = [Unit(name, frozenset(name), error, 0.1) for name, error in (("a", 3), ("b", 1))]
    judged: list[Layers] = []

    def judge(left: Layers) -> float:
        judged.append(left)
        return 0.0 if "a" in left else 9.0

    assert trimmed(frozenset("abc"), some, judge, 0.3, 2) == frozenset("ac")
    assert judged == [frozenset("ac"), frozenset("c")]


@given(candidates(), sizes)
def test_the_choice_is_within_and_nothing_within_is_much_faster(
    some: list[Candidate], max_drop: float
) -> None:
    chosen = choose(some, max_drop)
    assert chosen.drop <= max_drop
    within = [one for one in some if one.drop <= max_drop]
    assert chosen.ms <= min(one.ms for one in within) * (1 + RESOLUTION)
    assert choose(list(reversed(some)), max_drop) == chosen or len(set(some)) < len(some)


@given(candidates(), sizes, sizes)
def test_more_loss_allowed_never_costs_time(some: list[Candidate], a: float, b: float) -> None:
    strict, lax = min(a, b), max(a, b)
    assert choose(some, lax).ms <= choose(some, strict).ms * (1 + RESOLUTION)


def test_of_equally_fast_ones_the_one_that_loses_least() -> None:
    fast = Candidate("fast", frozenset("a"), 0.29, 4.00)
    close = Candidate("close", frozenset("ab"), 0.10, 4.03)
    slow = Candidate("slow", frozenset("abc"), 0.00, 5.00)
    assert choose([fast, close, slow], 0.3) == close
    assert choose([fast, close, slow], 0.05) == slow
    with pytest.raises(ValueError, match=r"no candidate loses at most 0\.3"):
        choose([Candidate("bad", frozenset(), 0.31, 1.0)], 0.3)


@given(candidates())
def test_the_frontier_holds_what_nothing_beats(some: list[Candidate]) -> None:
    best = frontier(some)
    for one in some:
        beaten = any(b.ms <= one.ms and b.drop <= one.drop for b in best)
        assert beaten
    assert [one.ms for one in best] == sorted(one.ms for one in best)
    assert [one.drop for one in best] == sorted({one.drop for one in best}, reverse=True)
