"""What the eye on a stream costs, and how it meets odd pictures and new connections."""

import numpy as np
import pytest

from pipeline.core.arrays import U8
from stages.base import Counts
from stages.health.blurred import Blurred
from stages.health.sample import Sample, look
from stages.health.watch import HealthWatch, Settings
from tests.stages.health.pictures import live_scene


def black(width: int = 64, height: int = 48) -> U8:
    return np.zeros((height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16), (64, 48), (353, 287), (4000, 9)])
def test_pictures_of_every_size_are_looked_at(size: tuple[int, int]) -> None:
    width, height = size
    eye = HealthWatch(Settings(start_s=1.0))
    image = np.full((height, width, 3), 128, np.uint8)
    changes = [eye.observe(image, second * 10**9, Counts()) for second in range(4)]
    assert changes == [[]] * 4


def test_a_picture_is_looked_at_as_often_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[U8] = []

    def counted(image: U8) -> Sample:
        seen.append(image)
        return look(image)

    monkeypatch.setattr("stages.health.watch.look", counted)
    eye = HealthWatch(Settings(every_s=0.5))
    for number in range(250):
        eye.observe(black(), number * 40_000_000, Counts())
    assert 19 <= len(seen) <= 21


def test_an_end_of_the_connection_ends_what_was_told_and_the_next_one_begins_anew() -> None:
    eye = HealthWatch(Settings(start_s=2.0, end_s=1.0))
    told = [
        change for second in range(5) for change in eye.observe(black(), second * 10**9, Counts())
    ]
    assert [(change.condition, change.start) for change in told] == [("black", 1)]
    assert eye.active == ["black"]
    (over,) = eye.interrupt("the connection is over")
    assert (over.condition, over.active, over.start) == ("black", False, 1)
    assert over.reason == "the connection is over"
    assert eye.active == []
    again = [
        change for second in range(5) for change in eye.observe(black(), second * 10**9, Counts())
    ]
    assert [(change.condition, change.start) for change in again] == [("black", 2)]


def test_a_jump_in_time_is_not_taken_for_a_time_of_darkness() -> None:
    eye = HealthWatch(Settings(start_s=5.0))
    assert eye.observe(black(), 0, Counts()) == []
    assert eye.observe(black(), 3600 * 10**9, Counts()) == []


def test_another_size_of_pictures_is_learnt_anew() -> None:
    blurred = Blurred()
    for second in range(30):
        assert not blurred.judge(look(live_scene(second)), float(second)).bad
    small = np.ascontiguousarray(live_scene(0)[::2, ::2])
    assert not blurred.judge(look(np.full_like(small, 90)), 31.0).bad


def test_what_is_usual_is_known_after_a_reconnect() -> None:
    """Covered while the connection was away: told, for the camera is the same."""
    eye = HealthWatch(Settings(start_s=2.0, conditions=("blurred",)))
    for second in range(20):
        assert eye.observe(live_scene(second), second * 10**9, Counts()) == []
    assert eye.interrupt("the connection is over") == []
    grey = np.full_like(live_scene(0), 90)
    told = [change for second in range(5) for change in eye.observe(grey, second * 10**9, Counts())]
    assert [(change.condition, change.active) for change in told] == [("blurred", True)]
