"""Zones in messages: ids, times, ends, evidence, masks, and rules that change."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipeline.account import StreamAccount
from pipeline.compose.composer import Composer
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.errors import DownCause
from pipeline.core.frame import FrameInfo
from pipeline.core.messages import (
    DwellMessage,
    EventMessage,
    Evidence,
    FrameMessage,
    IntervalCountsMessage,
    Message,
    OccupancyMessage,
    TrackEndMessage,
    ZoneEnterMessage,
    ZoneExitMessage,
    decode,
    encode,
)
from pipeline.core.seen import FrameFeatures
from pipeline.stream.changes import StreamDown, StreamEnded
from stages.tracking import Tracker
from stages.zones import LineRule, MaskRule, Rules, ZoneRule
from stages.zones.rules import OccupancyRule, StayRule
from tests.pipeline.compose.test_compose import FRAME_NS, PRODUCER, info, models, walker

YARD = ZoneRule(
    "yard", ((0, 100), (640, 100), (640, 480), (0, 480)),
    dwell=StayRule(0, 200_000_000), occupancy=OccupancyRule(0),
)  # fmt: skip


def composer(rules: Rules) -> Composer:
    account = StreamAccount("gate")
    return Composer(account, PRODUCER, ("person",), Tracker(), rules, 0.25, SystemClock())


def play(story: Composer, frames: Sequence[tuple[FrameInfo, Detections]]) -> list[Message]:
    told: list[Message] = []
    for frame, found in frames:
        story.account.decode()
        told += models(story.frame(frame, found)[0])
    return told


def test_a_walk_into_a_zone_is_told_from_its_start_to_its_end() -> None:
    story = composer(Rules(zones=(YARD,)))
    messages = play(story, [(info(seq), walker(seq)) for seq in range(25)])
    messages += models(story.end(StreamEnded("gate", 0, None)))
    (enter,) = [m for m in messages if isinstance(m, ZoneEnterMessage)]
    assert (enter.zone, enter.cause, enter.point) == ("yard", "crossed", (110.0, 100.0))
    assert enter.entered_at.timestamp() == 10 * FRAME_NS / 1e9
    (left,) = [m for m in messages if isinstance(m, ZoneExitMessage)]
    assert (left.cause, left.inside_ms, left.seq) == ("end_of_stream", 14 * 40.0, 24)
    dwell = [m for m in messages if isinstance(m, DwellMessage)]
    assert [m.phase for m in dwell] == ["start", "update", "update", "end"]
    assert len({m.event_id for m in dwell}) == 1
    occupied = [m for m in messages if isinstance(m, OccupancyMessage)]
    assert [(m.phase, m.count, m.by_label) for m in occupied] == [
        ("start", 1, {"person": 1}), ("end", 0, {}),
    ]  # fmt: skip
    ends = [place for place, m in enumerate(messages) if isinstance(m, TrackEndMessage)]
    assert messages.index(left) < ends[0]
    assert len({m.message_id for m in messages}) == len(messages)
    assert [decode(encode(m)) for m in messages] == messages
    assert story.report.events == {"zone_enter": 1, "zone_exit": 1, "dwell": 4, "occupancy": 2}


def test_the_same_frames_give_the_same_events() -> None:
    frames = [(info(seq), walker(seq)) for seq in range(25)]
    first, again = (play(composer(Rules(zones=(YARD,))), frames) for _ in range(2))
    assert [m.message_id for m in first] == [m.message_id for m in again]
    assert {m.event_id for m in first if isinstance(m, EventMessage)} == {
        m.event_id for m in again if isinstance(m, EventMessage)
    }


def test_the_ids_of_counts_do_not_depend_on_the_clock() -> None:
    """Nor do two intervals of one line that are told with the same frame have the same."""
    line = LineRule("door", ((0, 100), (640, 100)), interval_ns=10**9)
    told = []
    for start_s in (0, 1_767_225_600, 1_767_229_200):
        story = composer(Rules((line,)))
        frames = [
            (replace(frame, captured_ns=frame.captured_ns + start_s * 10**9), walker(frame.seq))
            for frame in map(info, range(26))
        ]
        messages = play(story, frames) + models(story.end(StreamEnded("gate", 0, None)))
        told.append([m for m in messages if isinstance(m, IntervalCountsMessage)])
    assert [[m.seq for m in some] for some in told] == [[25, 25]] * 3
    assert len({m.event_id for m in told[0]}) == 2
    assert {m.event_id for some in told for m in some} == {m.event_id for m in told[0]}
    assert len({m.from_at for some in told for m in some}) == 6


def test_an_epoch_ends_its_events_with_its_own_number_and_last_frame() -> None:
    story = composer(Rules(zones=(YARD,)))
    messages = play(story, [(info(seq), walker(seq)) for seq in range(15)])
    more = play(story, [(info(15, 1), walker(15)), (info(16, 1), walker(16))])
    over = [m for m in more if isinstance(m, EventMessage) and m.epoch == 0]
    assert [m.event for m in over] == ["zone_exit", "dwell", "occupancy"]
    assert {(m.seq, getattr(m, "cause", None)) for m in over} == {(14, "epoch")}
    phases: defaultdict[str, list[str]] = defaultdict(list)
    for m in messages + more:
        if isinstance(m, EventMessage) and m.epoch == 0 and m.phase != "once":
            phases[m.event_id].append(m.phase)
    assert all((some[0], some[-1]) == ("start", "end") for some in phases.values())


@pytest.mark.parametrize(("cause", "ends"), [("paused", 1), ("restarted", 1), ("unavailable", 0)])
def test_events_end_before_a_stream_is_down_on_request(cause: DownCause, ends: int) -> None:
    """By itself, it may come back at any time, and frames may still be on their way."""
    story = composer(Rules(zones=(YARD,)))
    play(story, [(info(seq), walker(seq)) for seq in range(15)])
    told = models(story.down(StreamDown("gate", 0, 14, 0, "on request", cause)))
    over = [m for m in told if isinstance(m, EventMessage)]
    assert [m.event for m in over] == ["zone_exit", "dwell", "occupancy"] * ends
    assert {getattr(m, "cause", None) for m in over} <= {"epoch"}
    kinds = ["event"] * len(over) + ["track_end"] * ends + ["stream_status"]
    assert [m.kind for m in told] == kinds
    again = play(story, [(info(15, 1), walker(15))])
    causes = [m.cause for m in again if isinstance(m, ZoneExitMessage | TrackEndMessage)]
    assert causes == ["epoch", "epoch"] * (1 - ends)


def test_evidence_is_asked_for_where_something_happens_or_starts() -> None:
    story = composer(Rules(zones=(YARD,)))
    asked: list[tuple[str, bool]] = []

    def refer(
        event: str, event_id: str, frame: FrameInfo, box: Sequence[float] | None
    ) -> list[Evidence]:
        asked.append((event, box is not None))
        return [Evidence(kind="crop", path=f"gate/{event_id}-crop.jpg")]

    story.refer = refer
    messages = play(story, [(info(seq), walker(seq)) for seq in range(25)])
    messages += models(story.end(StreamEnded("gate", 0, None)))
    assert asked == [
        ("zone_enter", True), ("dwell", True), ("occupancy", False), ("zone_exit", False),
    ]  # fmt: skip
    for message in messages:
        if isinstance(message, EventMessage):
            kept = message.phase in ("once", "start")
            assert len(message.evidence) == kept
            assert not kept or message.event_id in str(message.evidence[0].path)


def test_what_a_mask_hides_is_no_detection_and_rows_stay_those_of_all() -> None:
    sky = MaskRule("sky", ((0, 0), (640, 0), (640, 60), (0, 60)))
    story = composer(Rules(masks=(sky,)))
    bird = np.array([[300, 10, 310, 20]], np.float32)
    seen = FrameFeatures(features=np.eye(2, dtype=np.float32))
    found = walker(6)
    both = Detections(
        np.concatenate([bird, found.xyxy]), np.array([0.9, 0.8], np.float32), np.zeros(2, np.int32)
    )
    story.account.decode()
    told, tracks = story.frame(info(0), both, seen)  # tracks of a first frame are told at once
    (frame,) = [m for m in models(told) if isinstance(m, FrameMessage)]
    assert [d.score for d in frame.detections] == [0.8]
    assert tracks.detection_index.tolist() == [1]


def test_rules_that_change_end_what_is_theirs_at_once() -> None:
    story = composer(Rules(zones=(YARD,)))
    play(story, [(info(seq), walker(seq)) for seq in range(15)])
    over = models(story.change_rules(Rules(zones=(replace(YARD, name="court"),))))
    assert {getattr(m, "cause", None) for m in over} == {"reconfigured"}
    (enter,) = [m for m in play(story, [(info(15), walker(15))]) if isinstance(m, ZoneEnterMessage)]
    assert (enter.zone, enter.cause) == ("court", "appeared")
