"""When a stream is awake, when it is looked at, and what is owed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.picture import Picture, RgbPicture
from stages.base import Rest
from stages.motion_gate import GateSettings, MotionGate

FPS = 10
STEP_NS = 1_000_000_000 // FPS
HEIGHT, WIDTH = 96, 128
SETTINGS = GateSettings(interval_s=3, hold_s=1, looks=2)


def still() -> Picture:
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    image[::8] = 60
    return RgbPicture(image)


def with_box(at: int) -> Picture:
    image = still().rgb().copy()
    image[40:60, at : at + 10] = 230
    return RgbPicture(image)


class Stream:
    """Frames at `FPS`, through one gate."""

    def __init__(self, settings: GateSettings = SETTINGS, rest: Rest | None = None) -> None:
        self.gate, self.epoch, self.pts_ns = MotionGate(settings, rest), 0, -STEP_NS

    def show(self, picture: Picture) -> bool:
        self.pts_ns += STEP_NS
        return self.gate.admit(picture, self.epoch, self.pts_ns, 1_000 + self.pts_ns)

    def rest(self, frames: int) -> list[bool]:
        return [self.show(still()) for _ in range(frames)]

    def reconnect(self) -> None:
        self.epoch, self.pts_ns = self.epoch + 1, -STEP_NS


def test_a_still_stream_is_awake_at_first_and_then_looked_at_twice_in_a_row_at_the_interval() -> (
    None
):
    passed = np.flatnonzero(Stream().rest(100)).tolist()
    assert passed == [*range(11), 40, 41, 71, 72]


def test_a_change_wakes_it_within_two_frames_and_for_as_long_as_it_lasts_and_hold_s() -> None:
    stream = Stream()
    stream.rest(25)
    assert stream.gate.rest.at_rest
    moving = [stream.show(with_box(10 + 6 * n)) for n in range(12)]
    assert moving == [False] + [True] * 11
    assert stream.gate.rest.changes_total == 1
    assert stream.gate.rest.changed_ns == 1_000 + 36 * STEP_NS
    after = stream.rest(60)
    awake = after.index(False)
    assert FPS <= awake <= 3 * FPS  # until the scene is what it was, and for hold_s
    assert not any(after[awake : awake + 29])


def test_every_epoch_begins_awake_with_a_clock_of_its_own() -> None:
    stream = Stream()
    stream.rest(30)
    assert stream.gate.rested_ns == 19 * STEP_NS
    stream.reconnect()
    assert stream.rest(15) == [True] * 11 + [False] * 4
    assert stream.gate.rested_ns == 4 * STEP_NS
    assert stream.gate.rest.frames_total == 19 + 4


def test_for_a_frame_that_was_lost_the_next_one_passes() -> None:
    stream = Stream()
    stream.rest(20)
    stream.gate.owe()
    assert stream.rest(3) == [True, False, False]


def test_counts_of_an_older_gate_go_on() -> None:
    rest = Rest(frames_total=7, changes_total=2)
    Stream(rest=rest).rest(12)
    assert (rest.frames_total, rest.changes_total, rest.at_rest) == (8, 2, True)


@given(
    story=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=120),
    looks=st.integers(1, 4),
)
def test_time_is_spent_awake_or_at_rest_and_no_rest_is_longer_than_the_interval(
    story: list[tuple[bool, bool]], looks: int
) -> None:
    stream = Stream(GateSettings(interval_s=2, hold_s=0.5, looks=looks))
    passed_ns, at_rest = 0, 0
    for number, (moves, is_lost) in enumerate(story):
        if is_lost:
            stream.gate.owe()
        passed = stream.show(with_box(10 + 8 * (number % 10)) if moves else still())
        passed_ns += STEP_NS * (passed and number > 0)
        at_rest = 0 if passed else at_rest + 1
        assert at_rest <= 2 * FPS
        assert passed or not is_lost
    assert passed_ns + stream.gate.rested_ns == stream.pts_ns


@pytest.mark.parametrize(
    ("step_s", "wanted"), [(1.0, [True, True, *[False, True] * 3]), (4.0, [True] * 8)]
)
def test_a_slow_stream_keeps_the_interval(step_s: float, wanted: list[bool]) -> None:
    gate = MotionGate(GateSettings(interval_s=2, hold_s=1, looks=1))
    assert [gate.admit(still(), 0, round(n * step_s * 1e9), 0) for n in range(8)] == wanted
