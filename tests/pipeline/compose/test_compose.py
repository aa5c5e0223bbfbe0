"""From detections to messages, without threads."""

from collections.abc import Sequence

import numpy as np

from pipeline.account import StreamAccount
from pipeline.compose.composer import Composer
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.errors import DownCause
from pipeline.core.frame import FrameInfo
from pipeline.core.frame_record import AnyMessage, FrameRecord
from pipeline.core.messages import (
    EndOfStreamMessage,
    FrameMessage,
    LineCrossMessage,
    Liveness,
    Message,
    Model,
    Producer,
    StreamStatusMessage,
    TrackEndMessage,
    track_uid,
)
from pipeline.stream.changes import StreamDown, StreamEnded, StreamUp
from stages.tracking import Tracker
from stages.zones import LineRule, Rules

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
    line = LineRule("door", ((0, 100), (640, 100)))
    tracker = Tracker() if tracked else None
    rules = Rules((line,)) if tracked else Rules()
    return Composer(account, PRODUCER, ("person",), tracker, rules, 0.25, SystemClock())


def play(composer: Composer, frames: list[tuple[FrameInfo, Detections]]) -> list[Message]:
    told: list[AnyMessage] = []
    for frame, found in frames:
        composer.account.decode()
        told += composer.frame(frame, found)[0]
    return models(told)


def models(told: Sequence[AnyMessage]) -> list[Message]:
    return [message.model() if isinstance(message, FrameRecord) else message for message in told]


def test_a_walk_over_a_line_is_one_track_one_event_and_one_end() -> None:
    account = StreamAccount("gate")
    story = composer(account)
    messages = play(story, [(info(seq), walker(seq)) for seq in range(25)])
    messages += models(story.end(StreamEnded("gate", 0, None)))
    frames = [m for m in messages if isinstance(m, FrameMessage)]
    assert [m.seq for m in frames] == list(range(25))
    assert {d.track_id for m in frames for d in m.detections} == {1}
    (event,) = [m for m in messages if isinstance(m, LineCrossMessage)]
    assert (event.line, event.direction, event.label) == ("door", "in", "person")
    assert event.counts == {"in": 1, "out": 0}
    assert event.crossed_at.timestamp() == 10 * FRAME_NS / 1e9
    (end,) = [m for m in messages if isinstance(m, TrackEndMessage)]
    assert (end.track_id, end.first_seq, end.last_seq) == (1, 0, 24)
    assert (end.frames, end.age_ms, end.cause) == (25, 960.0, "end_of_stream")
    assert end.track_uid == event.track_uid == track_uid("r", "gate", 1)
    last = messages[-1]
    assert isinstance(last, EndOfStreamMessage)
    assert (last.decoded, last.published, last.dropped) == (25, 25, {})
    assert last.messages == {"frame": 25, "event": 1, "track_end": 1, "end_of_stream": 1}
    assert (last.detections, last.tracks) == ({"person": 25}, {"person": 1})
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
    assert message.detections[0].track_age_ms is None


def test_a_told_track_says_who_it_is_and_how_long_it_lives() -> None:
    messages = play(composer(StreamAccount("gate")), [(info(seq), walker(seq)) for seq in range(3)])
    found = [m.detections[0] for m in messages if isinstance(m, FrameMessage)]
    assert [d.track_age_ms for d in found] == [0.0, 40.0, 80.0]
    assert {d.track_state for d in found} == {"confirmed"}
    assert {d.track_uid for d in found} == {track_uid("r", "gate", 1)}
    assert track_uid("r", "gate", 1) != track_uid("r", "yard", 1)


def test_why_a_track_ended_is_told() -> None:
    story = composer(StreamAccount("gate"))
    nothing = Detections.empty()
    frames = [(info(0), walker(0)), *((info(seq), nothing) for seq in range(1, 60))]
    (lost,) = [m for m in play(story, frames) if isinstance(m, TrackEndMessage)]
    assert (lost.cause, lost.frames, lost.age_ms, lost.last_seq) == ("lost", 1, 0.0, 0)
    twice = [(info(60), walker(0)), (info(61), walker(0))]
    again = play(story, [*twice, (info(62, 1), walker(0))])
    (cut,) = [m for m in again if isinstance(m, TrackEndMessage)]
    assert (cut.cause, cut.epoch) == ("epoch", 0)


def test_boxes_have_two_decimal_places_and_scores_four() -> None:
    box = np.array([[0.1, 100.13, 33.333, 1919.999]], np.float32)
    found = Detections(box, np.array([0.87654], np.float32), np.zeros(1, np.int32))
    (message,) = play(composer(StreamAccount("gate"), tracked=False), [(info(0), found)])
    assert isinstance(message, FrameMessage)
    assert message.detections[0].box == (0.1, 100.13, 33.33, 1920.0)
    assert message.detections[0].score == 0.8765


def test_what_is_not_finite_is_not_told() -> None:
    boxes = np.array([[0, 0, 9, 9], [np.nan, 0, 9, 9], [0, -np.inf, 9, 9], [0, 0, 9, 9]])
    scores = np.array([0.9, 0.9, 0.9, np.nan], np.float32)
    found = Detections(boxes.astype(np.float32), scores, np.zeros(4, np.int32))
    (message,) = play(composer(StreamAccount("gate"), tracked=False), [(info(0), found)])
    assert isinstance(message, FrameMessage)
    assert [d.box for d in message.detections] == [(0, 0, 9, 9)]


def beating(account: StreamAccount) -> Composer:
    return Composer(account, PRODUCER, ("person",), None, Rules(), 0.25, SystemClock(), beats=True)


def beat(story: Composer) -> StreamStatusMessage:
    (message,) = story.heartbeat(10)
    assert isinstance(message, StreamStatusMessage)
    return message


def test_a_heartbeat_tells_the_account_as_of_now() -> None:
    account = StreamAccount("gate")
    story = beating(account)
    first = beat(story)
    assert first.heartbeat is not None
    assert (first.status, first.heartbeat.state, first.seq) == ("heartbeat", "starting", -1)
    told = story.up(StreamUp("gate", 1, 0, 0, None))
    for _ in range(4):
        account.decode()
    account.drop(1, "late")
    told += story.frame(info(0, 1), walker(0))[0] + story.frame(info(2, 1), walker(2))[0]
    now = beat(story).heartbeat
    assert now is not None
    assert (now.number, now.interval_s, now.state, now.conditions) == (2, 10, "up", [])
    assert (now.decoded, now.published, now.dropped, now.waiting) == (4, 2, {"late": 1}, 1)
    assert now.messages == {"frame": 2, "stream_status": 3}
    assert now.decoded == now.published + sum(now.dropped.values()) + now.waiting


def test_heartbeats_say_what_the_stream_is_and_end_with_it() -> None:
    story = beating(StreamAccount("gate"))
    causes: list[tuple[DownCause, Liveness]] = [("auth", "down"), ("paused", "paused")]
    for cause, state in causes:
        story.down(StreamDown("gate", 0, -1, 1, "why", cause))
        assert beat(story).reason == state
    ids = {beat(story).message_id for _ in range(3)}
    assert len(ids) == 3
    story.end(StreamEnded("gate", 0, None))
    assert story.heartbeat(10) == []


def test_what_ends_by_itself_has_no_heartbeat() -> None:
    assert composer(StreamAccount("gate")).heartbeat(10) == []
