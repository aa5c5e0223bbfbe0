"""From detections to messages, without threads."""

import numpy as np

from pipeline.compose import Composer
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.geometry import Line
from pipeline.core.messages import (
    EndOfStreamMessage,
    EventMessage,
    FrameMessage,
    Message,
    Model,
    Producer,
    TrackEndMessage,
)
from pipeline.stream import StreamEnded
from pipeline.telemetry import StreamAccount
from stages.tracking import Tracker
from stages.zones.line import LineCounter

FRAME_NS = 40_000_000
MODEL = Model(name="m", sha256="0" * 64, precision="fp32", engine="none")
PRODUCER = Producer(instance="i", version="1", run_id="r", model=MODEL)


def info(seq: int, epoch: int = 0) -> FrameInfo:
    return FrameInfo(
        stream_id="gate",
        epoch=epoch,
        seq=seq,
        pts_ns=seq * FRAME_NS,
        captured_ns=seq * FRAME_NS,
        arrived_ns=seq * FRAME_NS,
        clock="file",
        uncertainty_ns=0,
        width=640,
        height=480,
    )


def walker(seq: int, score: float = 0.9) -> Detections:
    """A person who walks down by 5 pixels a frame; feet at y = 50 + 5 seq."""
    box = [100, 5 * seq, 120, 50 + 5 * seq]
    return Detections(
        np.array([box], np.float32), np.array([score], np.float32), np.zeros(1, np.int32)
    )


def composer(account: StreamAccount, *, tracked: bool = True) -> Composer:
    line = LineCounter(Line("door", (0, 100), (640, 100)))
    tracker = Tracker() if tracked else None
    return Composer(
        account, PRODUCER, ("person",), tracker, [line] if tracked else [], 0.25, SystemClock()
    )


def play(composer: Composer, frames: list[tuple[FrameInfo, Detections]]) -> list[Message]:
    messages: list[Message] = []
    for frame, found in frames:
        composer.account.decode()
        messages += composer.frame(frame, found)[0]
    return messages


def test_a_walk_over_a_line_is_one_track_one_event_and_one_end() -> None:
    account = StreamAccount("gate")
    story = composer(account)
    messages = play(story, [(info(seq), walker(seq)) for seq in range(25)])
    messages += story.end(StreamEnded("gate", 0, None))
    frames = [m for m in messages if isinstance(m, FrameMessage)]
    assert [m.seq for m in frames] == list(range(25))
    assert {d.track_id for m in frames for d in m.detections} == {1}
    (event,) = [m for m in messages if isinstance(m, EventMessage)]
    assert (event.line, event.direction, event.label) == ("door", "in", "person")
    assert event.counts == {"in": 1, "out": 0}
    assert event.crossed_at.timestamp() == 10 * FRAME_NS / 1e9
    (end,) = [m for m in messages if isinstance(m, TrackEndMessage)]
    assert (end.track_id, end.first_seq, end.last_seq) == (1, 0, 24)
    last = messages[-1]
    assert isinstance(last, EndOfStreamMessage)
    assert (last.decoded, last.published, last.dropped) == (25, 25, {})
    assert len({m.message_id for m in messages}) == len(messages)


def test_the_same_frames_give_the_same_ids() -> None:
    frames = [(info(seq), walker(seq)) for seq in range(25)]
    first, again = (play(composer(StreamAccount("gate")), frames) for _ in range(2))
    assert [m.message_id for m in first] == [m.message_id for m in again]


def test_a_new_epoch_ends_all_tracks_and_reuses_no_id() -> None:
    story = composer(StreamAccount("gate"))
    messages = play(story, [(info(0), walker(0)), (info(1), walker(1)), (info(2, 1), walker(2))])
    kinds = [m.kind for m in messages]
    assert kinds == ["frame", "frame", "track_end", "frame"]
    last = messages[-1]
    assert isinstance(last, FrameMessage)
    assert (last.epoch, last.detections[0].track_id) == (1, 2)


def test_weak_detections_are_told_only_where_they_continue_a_track() -> None:
    story = composer(StreamAccount("gate"))
    messages = play(
        story,
        [(info(0), walker(0)), (info(1), walker(1)), (info(2), walker(2, 0.15))],
    )
    alone = play(composer(StreamAccount("gate")), [(info(0), walker(0, 0.15))])
    continued, new = messages[-1], alone[-1]
    assert isinstance(continued, FrameMessage)
    assert isinstance(new, FrameMessage)
    assert [d.track_id for d in continued.detections] == [1]
    assert new.detections == []


def test_without_a_tracker_detections_have_no_identity() -> None:
    messages = play(composer(StreamAccount("gate"), tracked=False), [(info(0), walker(0))])
    (message,) = messages
    assert isinstance(message, FrameMessage)
    assert message.detections[0].track_id is None
    assert message.detections[0].box == (100.0, 0.0, 120.0, 50.0)
