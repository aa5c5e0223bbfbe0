"""Faults on purpose: the same ones for the same seed, and all of them accounted for."""

import logging
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.clock import SECOND_NS
from pipeline.core.errors import SourceUnavailable
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.picture import RgbPicture
from stages.base import Counts
from stages.sources.chaos import Chaos, ChaosSettings, ChaosSource

PERIOD_NS = SECOND_NS // 10


class Pictures:
    """A source of `number` pictures; each `skip`-th is left out to keep the frame rate."""

    live = True

    def __init__(self, number: int, *, skip: int = 0, first_seq: int = 0, epoch: int = 0) -> None:
        self.frame_count: int | None = number
        self.counts = Counts(declared_fps=10.0)
        self._number, self._skip, self._first_seq = number, skip, first_seq
        self._epoch = epoch
        self.over = False

    def frames(self) -> Iterator[Frame]:
        try:
            for index in range(self._number):
                self.counts.decoded_total += 1
                if self._skip and index % self._skip == 0:
                    self.counts.skipped_total += 1
                    continue
                yield self._frame(index)
        finally:
            self.over = True

    def _frame(self, index: int) -> Frame:
        info = FrameInfo(
            stream_id="cam",
            epoch=self._epoch,
            seq=self._first_seq + index,
            pts_ns=index * PERIOD_NS,
            captured_ns=0,
            arrived_ns=0,
            clock="arrival",
            uncertainty_ns=0,
            width=4,
            height=4,
        )
        image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
        return Frame(info, RgbPicture(image))

    def close(self) -> None:
        self._number = 0


def play(chaos: Chaos, source: Pictures) -> tuple[ChaosSource, list[Frame], bool]:
    """One connection: its source, what it gave, and whether it was lost."""
    wrapped = chaos.wrap(source)
    given: list[Frame] = []
    try:
        given.extend(wrapped.frames())
    except SourceUnavailable:
        return wrapped, given, True
    return wrapped, given, False


def chaotic(**faults: Any) -> Chaos:
    return Chaos("cam", ChaosSettings(**faults))


probability = st.sampled_from([0.0, 0.02, 0.3, 1.0])
faults = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 5),
        "loss": probability,
        "corruption": probability,
        "bad_pts": probability,
        "stalls_per_min": st.sampled_from([0.0, 60.0]),
        "stall_s": st.just(0.0001),
        "disconnects_per_min": st.sampled_from([0.0, 10.0]),
        "storm": st.integers(0, 3),
    }
)


@given(wanted=faults, skip=st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_the_same_seed_gives_the_same_faults(wanted: dict[str, Any], skip: int) -> None:
    runs = []
    for _ in range(2):
        chaos = chaotic(**wanted)
        told = []
        for _connection in range(4):
            _, given, lost = play(chaos, Pictures(40, skip=skip))
            told.append(([frame.info for frame in given], lost))
        runs.append((told, chaos.totals))
    assert runs[0] == runs[1]


@given(wanted=faults, skip=st.integers(0, 3), first_seq=st.integers(0, 50))
@settings(deadline=None, max_examples=60)
def test_the_account_holds(wanted: dict[str, Any], skip: int, first_seq: int) -> None:
    inner = Pictures(40, skip=skip, first_seq=first_seq, epoch=3)
    chaos = chaotic(**wanted)
    source, given, lost = play(chaos, inner)
    counts, did = source.counts, chaos.totals
    assert counts.chaos == did
    assert counts.decoded_total == len(given) + counts.skipped_total + counts.withheld_total
    assert counts.withheld_total == counts.corrupt_total == did.get("corruption", 0)
    assert inner.counts.decoded_total - counts.decoded_total == did.get("loss", 0) + lost
    assert counts.skipped_total == inner.counts.skipped_total
    last = first_seq + counts.decoded_total
    assert all(first_seq <= frame.info.seq < last for frame in given)
    assert all(a.info.seq < b.info.seq for a, b in pairwise(given))
    assert inner.over


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_time_ascends_in_each_epoch(seed: int) -> None:
    source, given, _ = play(chaotic(seed=seed, bad_pts=0.2), Pictures(100, epoch=1))
    steps = [(a.info, b.info) for a, b in pairwise(given)]
    assert all(b.pts_ns > a.pts_ns for a, b in steps if a.epoch == b.epoch)
    assert all(b.epoch >= a.epoch for a, b in steps)
    assert given[0].info.epoch == 1
    assert given[-1].info.epoch == 1 + source.counts.times.jumps_total
    assert [frame.info.seq for frame in given] == list(range(100))


def test_bad_times_are_repaired_and_lasting_ones_begin_an_epoch() -> None:
    source, _, _ = play(chaotic(seed=2, bad_pts=0.2), Pictures(200))
    assert source.counts.times.repaired_total > 5
    assert source.counts.times.jumps_total > 1


def test_probabilities_are_those_of_the_settings() -> None:
    chaos = chaotic(seed=1, loss=0.1, corruption=0.05, stalls_per_min=60, stall_s=1e-6)
    play(chaos, Pictures(2000))  # 200 s
    assert 150 < chaos.totals["loss"] < 250
    assert 60 < chaos.totals["corruption"] < 130  # of those that are not lost
    assert 140 < chaos.totals["stall"] < 240


def test_a_fault_more_leaves_the_others_where_they_were() -> None:
    def lost(**more: float) -> set[int]:
        _, given, _ = play(chaotic(seed=4, loss=0.2, **more), Pictures(100))
        return {frame.info.pts_ns for frame in given}

    assert lost(bad_pts=0.0, stalls_per_min=60.0, stall_s=1e-6) == lost()


def test_no_chaos_changes_nothing() -> None:
    _, given, lost = play(chaotic(), Pictures(30))
    assert [frame.info for frame in given] == [frame.info for frame in Pictures(30).frames()]
    assert not lost


def test_connections_are_lost_and_refused_in_storms() -> None:
    chaos = chaotic(seed=3, disconnects_per_min=60, storm=4)
    sources = [Pictures(600) for _ in range(40)]
    outcomes = [play(chaos, source) for source in sources]
    assert all(lost for _, _, lost in outcomes)
    did = chaos.totals
    assert did["disconnect"] + did["refusal"] == 40
    assert did["refusal"] > 10
    refused = [s for s in sources if s.counts.decoded_total == 0]
    assert len(refused) == did["refusal"]


def test_damaged_pictures_are_given_on_request_and_look_it() -> None:
    chaos = chaotic(corruption=1)
    source = chaos.wrap(Pictures(20), pass_corrupt=True)
    given = list(source.frames())
    whole = next(Pictures(1).frames()).image
    assert len(given) == 20 == source.counts.corrupt_total
    assert source.counts.withheld_total == 0
    assert sum(not np.array_equal(frame.image, whole) for frame in given) > 10


def test_a_stall_ends_when_the_source_is_closed() -> None:
    chaos = chaotic(stalls_per_min=1e9, stall_s=3600)
    source = chaos.wrap(Pictures(100))
    pictures = source.frames()
    next(pictures)  # no time has passed before the first
    source.close()
    began_s = time.monotonic()
    assert list(pictures) == []
    assert time.monotonic() - began_s < 60


def test_the_log_says_that_chaos_is_on_and_what_it_did(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "eyrie"):
        chaos = chaotic(seed=7, loss=1)
        play(chaos, Pictures(3))
    first = caplog.records[0]
    assert first.levelno == logging.WARNING
    assert "stream 'cam': chaos is on" in first.message
    assert "seed 7, loss 1," in first.message
    assert caplog.records[-1].message == "stream 'cam': chaos so far: loss 3"
