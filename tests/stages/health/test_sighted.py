"""Cameras that work, and look as if they might not: nothing is told of them."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.arrays import U8
from stages.health.watch import HealthWatch, Settings
from stages.sources.file import FileSource
from stages.sources.street.mood import Light
from stages.sources.street.source import StreetSource
from tests.stages.health.pictures import RATE, WIDTH, backdrop, encode, noisy, sway, watch


@pytest.mark.parametrize("crf", ["18", "30", "38"])
@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_a_still_scene_is_not_frozen_however_hard_it_is_compressed(sigma: float, crf: str) -> None:
    """Its noise survives at least in the key frames."""

    def still(number: int) -> U8:
        return noisy(backdrop(), number, sigma)

    assert watch(encode(still, 20 * RATE, options={"crf": crf})) == []


def test_a_long_time_without_key_frames_is_not_frozen() -> None:
    def still(number: int) -> U8:
        return noisy(backdrop(), number, 1.0)

    endless = {"g": "300", "crf": "38", "keyint_min": "300", "sc_threshold": "0"}
    assert watch(encode(still, 30 * RATE, options=endless)) == []


def test_a_slowly_panning_view_is_neither_blurred_nor_frozen() -> None:
    wide = backdrop(4 * WIDTH)

    def panned(number: int) -> U8:
        left = sway(number, 3 * WIDTH)
        return noisy(np.ascontiguousarray(wide[:, left : left + WIDTH]), number)

    assert watch(encode(panned, 40 * RATE)) == []


def test_lights_that_go_off_are_no_cover_while_the_scene_shows() -> None:
    def dimmed(number: int) -> U8:
        light = 1.0 if number < 15 * RATE else 0.25
        return noisy((backdrop() * light).astype(np.uint8), number)

    assert watch(encode(dimmed, 30 * RATE)) == []


@pytest.mark.parametrize("light", ["day", "dusk", "night"])
def test_the_street_raises_nothing_at_any_time_of_day(light: Light) -> None:
    street = StreetSource("cam", light=light, seconds=8, fps=4, width=320, height=180)
    assert conditions_of(street) == []


@pytest.mark.parametrize("name", ["car-detection.mp4", "one-by-one-person-detection.mp4"])
def test_real_clips_raise_nothing(name: str, shared_dir: Path) -> None:
    assert conditions_of(FileSource("cam", shared_dir / "clips" / name)) == []


def conditions_of(source: FileSource | StreetSource) -> list[str]:
    """What would be told if a condition had to last for two seconds only."""
    eye = HealthWatch(Settings(start_s=2.0, end_s=1.0))
    return [
        change.condition
        for frame in source.frames()
        for change in eye.observe(frame.image, frame.info.pts_ns, source.counts)
    ]
