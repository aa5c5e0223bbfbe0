"""Frames that a motion gate left out, in what is told: who stands still is still there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.account import StreamAccount
from pipeline.compose.composer import Composer
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.messages import (
    DwellMessage,
    FrameMessage,
    Message,
    OccupancyMessage,
    TrackEndMessage,
    ZoneEnterMessage,
    ZoneExitMessage,
)
from stages.plane import PlaneStage
from stages.plane.calibration import Calibration
from stages.tracking import Tracker
from stages.zones import Rules, ZoneRule
from stages.zones.rules import OccupancyRule, StayRule
from tests.pipeline.compose.test_compose import FRAME_NS, PRODUCER, info, models

FPS = round(1e9 / FRAME_NS)
YARD = ZoneRule(
    "yard", ((0, 100), (640, 100), (640, 480), (0, 480)),
    dwell=StayRule(0, 1_000_000_000), occupancy=OccupancyRule(0),
)  # fmt: skip
GROUND = Calibration(
    np.array([(0, 100), (640, 100), (640, 480), (0, 480)], np.float64),
    np.array([(0, 10), (6, 10), (6, 0), (0, 0)], np.float64),
)
FrameFeatures = tuple[FrameInfo, Detections]


def standing(left: float = 300.0) -> Detections:
    box = np.array([[left, 200, left + 40, 320]], np.float32)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))


def story(rested: bool) -> list[FrameFeatures]:
    """Somebody stands there for 4 s; then 30 s of rest with two looks every 5 s, in the third of
    which nobody is found; then all frames again, and nobody is there."""
    told = [(info(seq), standing()) for seq in range(4 * FPS)]
    seq, rested_ns = 4 * FPS, 0
    for look in range(6):
        rested_ns += (5 * FPS - 2) * FRAME_NS
        seq += 5 * FPS - 2
        for _ in range(2):
            found = Detections.empty() if look == 2 else standing()
            told.append((replace(info(seq), rested_ns=rested_ns if rested else 0), found))
            seq += 1
    for _ in range(3 * FPS):
        told.append((replace(info(seq), rested_ns=rested_ns if rested else 0), Detections.empty()))
        seq += 1
    return told


def tell(frames: Sequence[FrameFeatures]) -> list[Message]:
    account = StreamAccount("gate")
    composer = Composer(
        account, PRODUCER, ("person",), Tracker(), Rules(zones=(YARD,)), 0.25, SystemClock(),
        plane=PlaneStage(GROUND),
    )  # fmt: skip
    told: list[Message] = []
    for frame, found in frames:
        while account.next_seq < frame.seq:
            account.drop(account.decode(), "at_rest")
        account.decode()
        told += models(composer.frame(frame, found)[0])
    return told


def test_who_stands_through_a_rest_keeps_track_zone_and_speed_and_is_lost_when_gone() -> None:
    messages = tell(story(rested=True))
    (end,) = [m for m in messages if isinstance(m, TrackEndMessage)]
    (entered,) = [m for m in messages if isinstance(m, ZoneEnterMessage)]
    (left,) = [m for m in messages if isinstance(m, ZoneExitMessage)]
    assert entered.track_id == left.track_id == end.track_id
    assert (left.cause, end.cause) == ("lost", "lost")
    last_look_s = (34 * FPS - 1) / FPS
    assert left.exited_at.timestamp() == last_look_s
    assert left.inside_ms == 1000 * last_look_s
    counts = [m.phase for m in messages if isinstance(m, OccupancyMessage)]
    assert counts == ["start", "end"]
    dwells = [m.duration_ms for m in messages if isinstance(m, DwellMessage)]
    assert max(dwells) == 1000 * last_look_s


def test_speeds_stay_zero_over_a_rest() -> None:
    looks = [
        row
        for message in tell(story(rested=True))
        if isinstance(message, FrameMessage) and message.seq > 4 * FPS
        for row in message.detections
    ]
    speeds = [row.plane.speed_m_s for row in looks if row.plane is not None]
    assert len(speeds) == 10
    assert [speed for speed in speeds[:4] if speed is not None] == [0, 0, 0, 0]
    assert not any(speeds)  # of who was not found in a whole look, none is known at first


def test_without_a_rest_such_a_silence_is_a_loss() -> None:
    messages = tell(story(rested=False))
    assert sum(isinstance(m, TrackEndMessage) for m in messages) > 1


def test_the_next_frame_tells_of_those_that_were_left_out() -> None:
    frames = [m for m in tell(story(rested=True)) if isinstance(m, FrameMessage)]
    assert frames[4 * FPS].dropped_since_last == {"at_rest": 5 * FPS - 2}
    assert frames[4 * FPS + 1].dropped_since_last == {}


def test_a_rest_belongs_to_its_epoch() -> None:
    frames = [(info(seq), standing()) for seq in range(FPS)]
    frames.append((replace(info(6 * FPS), rested_ns=5 * FPS * FRAME_NS), standing()))
    frames += [(replace(info(seq, 1), pts_ns=0), standing()) for seq in (6 * FPS + 1,)]
    ends = [m.cause for m in tell(frames) if isinstance(m, TrackEndMessage)]
    assert ends == ["epoch"]
