"""Slots: who has which, for any order of events, and memory that nobody has to clean up."""

import gc
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.arrays import U8
from pipeline.workers.slots import Loans, Memory, Slots, aligned


@given(st.integers(1, 12), st.lists(st.integers(0, 15), max_size=60))
def test_every_slot_is_free_or_taken_once(count: int, events: list[int]) -> None:
    """An even number takes one, if there is one; an odd one gives back one that is out."""
    slots, out = Slots(count), list[int]()
    for event in events:
        if event % 2 == 0 and slots.free:
            slot = slots.take()
            assert slot is not None
            assert slot not in out
            out.append(slot)
        elif event % 2 and out:
            slots.give_back(out.pop(event % len(out)))
        assert slots.taken == len(out)
        assert slots.free + slots.taken == count


def test_a_slot_that_is_not_taken_cannot_come_back() -> None:
    slots = Slots(2)
    for wrong in (0, 2, -1):
        with pytest.raises(ValueError, match=f"{wrong} of 2 is not taken"):
            slots.give_back(wrong)


def test_the_slot_that_came_back_last_is_taken_first() -> None:
    slots = Slots(8)
    first, second = slots.take(), slots.take()
    assert first is not None
    assert second is not None
    slots.give_back(first)
    assert slots.take() == first


def test_whoever_waits_for_a_slot_gets_the_next_or_hears_the_end() -> None:
    slots, got = Slots(1), list[int | None]()
    only = slots.take()
    assert only is not None
    waiting = threading.Thread(target=lambda: got.extend([slots.take(), slots.take()]))
    waiting.start()
    slots.give_back(only)
    slots.close()
    waiting.join(10)
    assert got[-1] is None
    assert got[0] in (only, None)  # the end may have come before it woke


def _lent(slots: int, slot_bytes: int, back: list[int]) -> tuple[Memory, Loans]:
    memory = Memory(slots, slot_bytes)
    with memory.lending() as fd:
        loans = Loans(os.dup(fd), slots, memory.slot_bytes, back.append)
    return memory, loans


def test_a_slot_comes_back_with_the_last_view_of_it() -> None:
    back: list[int] = []
    memory, loans = _lent(3, 100, back)
    memory.slot(2)[:] = np.arange(memory.slot_bytes) % 251
    whole: U8 | None = loans.lend(2)
    assert whole is not None
    part: U8 | None = whole[4:16].reshape(3, 4)[1:]
    whole = None
    assert part is not None
    assert part[0].tolist() == [8, 9, 10, 11]
    assert back == []
    part = None
    assert back == [2]


def test_what_is_lent_cannot_be_written() -> None:
    _, loans = _lent(1, 10, [])
    with pytest.raises(ValueError, match="read-only"):
        loans.lend(0)[0] = 1


def test_memory_outlives_its_writer_and_leaves_nothing_behind() -> None:
    gc.collect()
    before = _mapped()
    memory, loans = _lent(2, 5000, [])
    memory.slot(0)[:] = 7
    view: U8 | None = loans.lend(0)
    assert _mapped() == before + 2
    del memory, loans
    assert _mapped() == before + 1
    assert view is not None
    assert view.min() == view.max() == 7
    view = None
    assert _mapped() == before


@given(st.integers(0, 10_000))
def test_parts_are_aligned_and_no_larger_than_they_must(size_bytes: int) -> None:
    got = aligned(size_bytes)
    assert got % 64 == 0
    assert size_bytes <= got < size_bytes + 64


def _mapped() -> int:
    return Path("/proc/self/maps").read_text().count("eyrie pictures")
