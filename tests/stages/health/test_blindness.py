"""Cameras that go blind, in clips that were encoded and decoded: told when, told when over."""

import cv2
import numpy as np
import pytest

from pipeline.core.arrays import U8
from pipeline.core.messages import Condition
from tests.stages.health.pictures import (
    HEIGHT,
    RATE,
    WIDTH,
    Draw,
    backdrop,
    encode,
    live_scene,
    noisy,
    watch,
)

BEGIN_S, END_S, WHOLE_S = 14, 36, 45
"""The camera works, goes blind, works again."""


ENDLESS = {"g": "2000", "keyint_min": "2000", "sc_threshold": "0", "preset": "veryfast"}


def blind(draw: Draw) -> Draw:
    """A working camera that shows `draw` in the middle."""

    def drawn(number: int) -> U8:
        return draw(number) if BEGIN_S * RATE <= number < END_S * RATE else live_scene(number)

    return drawn


def frozen(_: int) -> U8:
    return live_scene(BEGIN_S * RATE)


def black(number: int) -> U8:
    """A lens cap, and the noise of an amplifier at its limit."""
    return noisy(np.full((HEIGHT, WIDTH, 3), 6, np.uint8), number, 4)


def blurred(number: int) -> U8:
    return np.asarray(cv2.GaussianBlur(live_scene(number), (0, 0), 3), np.uint8)


def covered(number: int) -> U8:
    """A bag over the camera: light comes through, nothing else."""
    bag = np.linspace(60, 110, WIDTH)[None, :, None] * np.ones((HEIGHT, 1, 3))
    return noisy(bag.astype(np.uint8), number, 3)


@pytest.mark.parametrize(
    ("draw", "condition", "late_s", "codec"),
    [
        (frozen, "frozen", 14, "libx264"),
        (frozen, "frozen", 14, "libx265"),
        (black, "black", 0, "libx264"),
        (blurred, "blurred", 0, "libx264"),
        (blurred, "blurred", 0, "libx265"),
        (covered, "blurred", 0, "libx264"),
    ],
)
def test_what_is_wrong_is_told_with_begin_and_end(
    draw: Draw, condition: Condition, late_s: int, codec: str
) -> None:
    how = {"x265-params": "log-level=none:keyint=20:bframes=0"} if codec == "libx265" else {}
    told = watch(encode(blind(draw), WHOLE_S * RATE, codec=codec, options=how))
    assert [(change.condition, change.active) for _, change in told] == [
        (condition, True),
        (condition, False),
    ]
    (began_s, began), (ended_s, ended) = told
    assert BEGIN_S + 4 <= began_s <= BEGIN_S + 4 + 1 + late_s
    assert END_S + 2 <= ended_s <= END_S + 3 + 5 * (condition == "frozen")
    assert began.start == ended.start == 1
    assert began.metrics
    assert began.reason


def test_a_drop_to_two_pictures_a_second_is_told() -> None:
    fast = encode(live_scene, 10 * RATE)
    slow = encode(live_scene, 12 * RATE, step=5)
    assert watch(fast) == []
    ((began_s, change),) = watch(slow)
    assert (change.condition, change.active) == ("low_fps", True)
    assert change.metrics == {"fps": pytest.approx(2, abs=0.3), "expected_fps": RATE}
    assert 4 <= began_s <= 8


def test_only_what_is_asked_for_is_told() -> None:
    body = encode(blind(black), WHOLE_S * RATE)
    assert watch(body, conditions=("frozen", "blurred", "low_fps", "corrupt")) == []


def test_what_is_too_short_is_not_told() -> None:
    def blink(number: int) -> U8:
        return black(number) if number % 100 < 35 else live_scene(number)

    assert watch(encode(blink, 30 * RATE)) == []


def test_a_still_that_is_coded_anew_without_noise_is_frozen_though_no_key_frame_comes() -> None:
    def still(_: int) -> U8:
        return backdrop()

    body = encode(still, 80 * RATE, options=ENDLESS)
    ((began_s, change),) = watch(body, conditions=("frozen",))
    assert change.active
    assert began_s >= 60
