"""What counts as a change in a picture: objects, also small and slow ones; not noise, light, lamps,
rain."""

import numpy as np
import pytest

from pipeline.core.arrays import F64, U8
from stages.picture_change import PictureChange, luma_size

ROWS, COLUMNS, FPS = 108, 192, 12.5
STEP_S = 1 / FPS


class Scene:
    """A still scene with the noise of a sensor, (ROWS, COLUMNS)."""

    def __init__(self, seed: int = 1, noise: float = 2.0) -> None:
        self.rng, self.noise = np.random.default_rng(seed), noise
        coarse = self.rng.uniform(60, 190, (ROWS // 6, COLUMNS // 6))
        self.still: F64 = np.kron(coarse, np.ones((6, 6))).astype(np.float64)

    def picture(self, factor: float | F64 = 1.0) -> U8:
        return self.grey(self.still * factor)

    def grey(self, levels: F64) -> U8:
        seen = levels + self.rng.normal(0, self.noise, (ROWS, COLUMNS))
        return np.clip(np.rint(seen), 0, 255).astype(np.uint8)

    def with_box(
        self, left: float, top: int, width: int = 3, height: int = 7, by: float = 45
    ) -> U8:
        levels = self.still.copy()
        x = round(left)
        levels[top : top + height, x : x + width] += by
        return self.grey(levels)


def settled(scene: Scene, change: PictureChange, seconds: float = 4) -> None:
    for _ in range(round(seconds * FPS)):
        change.update(scene.picture(), STEP_S)


@pytest.mark.parametrize("noise", [0.0, 2.0, 6.0])
def test_noise_is_no_change(noise: float) -> None:
    scene, change = Scene(noise=noise), PictureChange()
    assert [change.update(scene.picture(), STEP_S) for _ in range(400)] == [False] * 400


def test_a_small_object_is_a_change_in_its_second_picture() -> None:
    scene, change = Scene(), PictureChange()
    settled(scene, change)
    assert [change.update(scene.with_box(50 + n, 40), STEP_S) for n in range(6)] == [
        False, True, True, True, True, True,
    ]  # fmt: skip


def test_what_moves_slower_than_a_cell_a_second_is_a_change_before_it_has_gone_three() -> None:
    scene, change = Scene(), PictureChange()
    for _ in range(60):
        change.update(scene.with_box(50, 40), STEP_S)
    at = [50 + 0.4 * n * STEP_S for n in range(200)]
    noted = [left for left in at if change.update(scene.with_box(left, 40), STEP_S)]
    assert noted
    assert noted[0] - 50 < 3


def test_light_that_changes_slowly_and_a_shadow_over_all_are_none() -> None:
    scene, change = Scene(), PictureChange()
    settled(scene, change)
    sunset = [change.update(scene.picture(1 - 0.5 * n / 400), STEP_S) for n in range(400)]
    assert not any(sunset)
    across = np.linspace(0, 1, COLUMNS)
    for n in range(60):  # a cloud comes from the left, in 5 s, its edge as wide as the picture
        light = 0.5 * np.clip(1 - across + n / 30 - 1, 0, 1)
        assert not change.update(scene.picture(0.5 * (1 - light)), STEP_S), n


def test_a_lamp_that_blinks_is_one_for_half_a_minute_at_most() -> None:
    scene, change = Scene(), PictureChange()
    settled(scene, change)
    noted = []
    for n in range(round(60 * FPS)):
        lit = (n * STEP_S) % 1.0 < 0.5
        picture = scene.with_box(100, 30, 4, 4, by=60 if lit else 0)
        noted.append(change.update(picture, STEP_S))
    assert any(noted[:25])
    assert not any(noted[round(30 * FPS) :])
    passer_by = [change.update(scene.with_box(20 + n, 70), STEP_S) for n in range(4)]
    assert any(passer_by)


def test_rain_is_seldom_one() -> None:
    scene, change = Scene(), PictureChange()
    settled(scene, change)
    noted = 0
    for _ in range(300):
        levels = scene.still.copy()
        rows, columns = scene.rng.integers(0, ROWS - 5, 25), scene.rng.integers(0, COLUMNS, 25)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            levels[row : row + 5, column] += 40
        noted += change.update(scene.grey(levels), STEP_S)
    assert noted <= 2


def test_a_camera_that_turns_is_a_change_and_its_new_view_soon_is_none() -> None:
    scene, change = Scene(), PictureChange()
    settled(scene, change)
    views = [scene.grey(np.roll(scene.still, 3 * n, axis=1)) for n in range(12)]
    assert all([change.update(view, STEP_S) for view in views][2:])
    there = np.roll(scene.still, 33, axis=1)
    after = [change.update(scene.grey(there), STEP_S) for _ in range(80)]
    assert not any(after[40:])


def test_pictures_far_apart_need_not_confirm_each_other() -> None:
    scene, change = Scene(), PictureChange()
    for _ in range(8):
        change.update(scene.picture(), 1.0)
    assert change.update(scene.with_box(50, 40), 1.0)


def test_nothing_counts_in_an_ignored_region() -> None:
    scene = Scene()
    change = PictureChange(ignore=[((0, 0), (0.5, 0), (0.5, 1), (0, 1))])
    settled(scene, change)
    assert not any(change.update(scene.with_box(20 + n, 40), STEP_S) for n in range(8))
    assert any(change.update(scene.with_box(120 + n, 40), STEP_S) for n in range(8))


def test_a_higher_sensitivity_sees_fainter_things() -> None:
    def sees(sensitivity: float, by: float) -> bool:
        scene, change = Scene(noise=0.5), PictureChange(sensitivity)
        settled(scene, change)
        return any(change.update(scene.with_box(50 + n, 40, by=by), STEP_S) for n in range(8))

    assert [sees(level, 7) for level in (0.25, 0.5, 0.75)] == [False, False, True]
    assert [sees(level, 14) for level in (0.25, 0.5, 0.75)] == [False, True, True]


def test_another_size_begins_anew() -> None:
    change = PictureChange()
    change.update(np.zeros((10, 20), np.uint8), 0.1)
    assert not change.update(np.full((20, 20), 255, np.uint8), 0.1)


@pytest.mark.parametrize(
    ("size", "asked"),
    [((1080, 1920), (108, 192)), ((288, 352), (157, 192)), ((1920, 1080), (192, 108)),
     ((90, 120), (90, 120)), ((1, 4000), (1, 192))],
)  # fmt: skip
def test_the_grey_picture_is_small_and_never_larger_than_the_picture(
    size: tuple[int, int], asked: tuple[int, int]
) -> None:
    assert luma_size(*size) == asked
