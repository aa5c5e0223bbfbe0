"""Frames of a resting stream on their way into its lane."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.account import StreamAccount
from pipeline.config import FileSourceConfig, MotionGateConfig, StreamConfig
from pipeline.core.clock import SystemClock
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.picture import RgbPicture
from pipeline.load.gate import Gate
from pipeline.stream.intake import Intake
from stages.base import Counts

FRAME_NS = 100_000_000
GATE = MotionGateConfig(interval_s=2, hold_s=0.5, looks=1)
STILL = RgbPicture(np.full((48, 64, 3), 90, np.uint8))


def frame(seq: int) -> Frame:
    pts_ns = seq * FRAME_NS
    return Frame(
        FrameInfo(
            stream_id="gate", epoch=0, seq=seq, pts_ns=pts_ns, captured_ns=pts_ns,
            arrived_ns=pts_ns, clock="file", uncertainty_ns=0, width=64, height=48,
        ),
        STILL,
    )  # fmt: skip


RESTING = StreamConfig(
    id="gate", source=FileSourceConfig(kind="file", path=Path("x"), realtime=True),
    queue_frames=1, motion_gate=GATE,
)  # fmt: skip


def intake(config: StreamConfig = RESTING) -> Intake:
    return Intake(
        config, StreamAccount("gate"), threading.Condition(), threading.Event(), lambda *_: None,
        SystemClock(),
    )  # fmt: skip


def show(story: Intake, seq: int) -> None:
    story.account.decode()
    story.take(frame(seq))


def test_a_frame_that_the_full_lane_drops_is_owed() -> None:
    story = intake()
    for seq in range(20):
        show(story, seq)
        if seq < 10:
            story.lane.take(1, 0)
    assert story.account.rest is not None
    assert story.account.rest.at_rest
    decoded, _, dropped = story.account.totals()
    assert (decoded, dropped) == (20, {"at_rest": 14})
    for seq in range(20, 40):  # the look at 2.5 s fills the lane; the next one pushes it out
        show(story, seq)
    assert story.account.totals()[2] == {"at_rest": 33}
    for seq in range(40, 47):
        show(story, seq)
    assert story.account.totals()[2] == {"at_rest": 38, "overflow": 2}
    (last,) = story.lane.take(1, 0)
    assert last.info.seq == 46


def test_what_passes_says_how_long_the_stream_has_rested() -> None:
    story, passed = intake(), []
    for seq in range(60):
        show(story, seq)
        passed += story.lane.take(1, 0)
    rests = {one.info.seq: one.info.rested_ns // FRAME_NS for one in passed}
    assert rests == {**dict.fromkeys(range(6), 0), 25: 19, 45: 38}


class Thinned:
    """A source that leaves out frames by itself, of which every fifth comes."""

    live = True
    frame_count: int | None = None

    def __init__(self) -> None:
        self.counts = Counts()
        self.gate: Gate | None = None

    def thin_by(self, gate: Gate) -> None:
        self.gate = gate

    def frames(self) -> Iterator[Frame]:
        for seq in range(0, 101, 5):
            self.counts.decoded_total = seq + 1
            self.counts.thinned_total = seq - seq // 5
            yield frame(seq)

    def close(self) -> None:
        """Nothing is open."""


def test_what_the_source_leaves_out_for_load_is_counted_so() -> None:
    config = StreamConfig(
        id="gate", source=FileSourceConfig(kind="file", path=Path("x"), realtime=True)
    )
    story, source = intake(config), Thinned()
    story.begin()
    assert story.gate is not None
    story.gate.keep = 0.0  # what the source lets through is not judged again
    for given in source.frames():
        story.count(source, given.info)
        story.take(given)
        assert story.lane.take(1, 0) == [given]
    assert source.gate is story.gate
    assert story.account.totals() == (101, 0, {"load": 80})


def test_a_resting_stream_is_thinned_here_for_its_motion_gate_must_see_all() -> None:
    story, source = intake(), Thinned()
    story.begin()
    story.count(source, frame(0).info)
    assert source.gate is None


def test_a_stream_with_a_last_frame_is_thinned_here_for_those_left_out_count() -> None:
    config = StreamConfig(
        id="gate", source=FileSourceConfig(kind="file", path=Path("x"), realtime=True),
        max_frames=12,
    )  # fmt: skip
    story, source = intake(config), Thinned()
    story.begin()
    story.count(source, frame(0).info)
    assert source.gate is None
