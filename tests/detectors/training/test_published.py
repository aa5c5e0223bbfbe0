"""The published recipes' augmentations: boxes follow pixels, and the numbers are the recipes'."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.training.augment import Sample
from detectors.training.policies import POLICIES
from detectors.training.published import (
    COCO,
    FINETUNE,
    BoxFilter,
    hsv_shifted,
    mirrored,
    mixed,
    mosaic_of_four,
    padded_rescale,
)
from pipeline.core.arrays import F32, U8

DARK, BRIGHT = 20, 250
SIDES = st.integers(48, 160)


def one_bright_box(height: int, width: int, seed: int) -> Sample:
    """A picture of darkness with one bright box that is its only label."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), DARK, np.uint8)
    x1, y1 = int(rng.integers(0, width - 24)), int(rng.integers(0, height - 24))
    x2, y2 = int(rng.integers(x1 + 20, width)), int(rng.integers(y1 + 20, height))
    image[y1:y2, x1:x2] = BRIGHT
    return Sample(image, np.array([[x1, y1, x2, y2]], np.float32), np.array([3]))


def bright_extent(image: U8, least: int) -> F32:
    bright = image[..., 0] > least
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def can_be_seen(sample: Sample) -> bool:
    """Whether there is a box, and more of it than what interpolation blurs."""
    sides = sample.xyxy[:, 2:] - sample.xyxy[:, :2]
    return len(sides) > 0 and bool((sides >= 4).all())


def flat(value: int, xyxy: list[float], class_id: int) -> Sample:
    image = np.full((64, 64, 3), value, np.uint8)
    return Sample(image, np.array([xyxy], np.float32), np.array([class_id]))


def never() -> Sample:
    raise AssertionError("one picture is enough here")


def plain(name: str) -> Callable[[Sample, int, int], Sample]:
    """A policy as a function of a sample, a size and a seed; further pictures are the same one."""
    policy = POLICIES[name](96)

    def made(sample: Sample, size: int, seed: int) -> Sample:
        return policy.made(sample, lambda: sample, size, False, np.random.default_rng(seed))

    return made


@pytest.mark.parametrize("name", POLICIES)
@given(height=SIDES, width=SIDES, seed=st.integers(0, 999))
@settings(max_examples=25)
def test_every_policy_keeps_boxes_inside_and_repeats_itself(
    name: str, height: int, width: int, seed: int
) -> None:
    sample = one_bright_box(height, width, seed)
    made, again = (plain(name)(sample, 96, seed) for _ in range(2))
    assert made.image.shape == (96, 96, 3)
    assert made.image.dtype == np.uint8
    assert made.xyxy.dtype == np.float32
    assert (made.xyxy >= 0).all()
    assert (made.xyxy <= 96).all()
    assert (made.xyxy[:, 2:] > made.xyxy[:, :2]).all()
    assert len(made.class_id) == len(made.xyxy)
    np.testing.assert_array_equal(made.image, again.image)
    np.testing.assert_array_equal(made.xyxy, again.xyxy)


@given(height=SIDES, width=SIDES, seed=st.integers(0, 999))
@settings(max_examples=40)
def test_a_warped_box_is_where_its_pixels_are(height: int, width: int, seed: int) -> None:
    sample = one_bright_box(height, width, seed)
    made = COCO._warped(sample, None, np.random.default_rng(seed))
    assert made.image.shape == sample.image.shape
    if can_be_seen(made):
        np.testing.assert_allclose(made.xyxy[0], bright_extent(made.image, 180), atol=2.5)


@given(height=SIDES, width=SIDES, seed=st.integers(0, 999), size=st.sampled_from([64, 96, 160]))
@settings(max_examples=40)
def test_a_rescaled_or_mirrored_box_is_where_its_pixels_are(
    height: int, width: int, seed: int, size: int
) -> None:
    made = padded_rescale(mirrored(one_bright_box(height, width, seed)), size)
    np.testing.assert_allclose(made.xyxy[0], bright_extent(made.image, 180), atol=1.5)
    longest = max(height, width)
    assert (made.image[-1, -1] == 114).all() or round(min(height, width) * size / longest) == size


@given(seed=st.integers(0, 999))
@settings(max_examples=25)
def test_mosaic_boxes_are_where_their_pixels_are(seed: int) -> None:
    samples = [one_bright_box(80, 100, seed + n) for n in range(4)]
    black = Sample(
        np.full_like(samples[0].image, DARK), np.empty((0, 4), np.float32), np.empty(0, np.int64)
    )
    for place in range(4):
        four = [samples[n] if n == place else black for n in range(4)]
        made = mosaic_of_four(four, 96, np.random.default_rng(seed))
        assert made.image.shape == (192, 192, 3)
        if can_be_seen(made):
            np.testing.assert_allclose(made.xyxy[0], bright_extent(made.image, 180), atol=1.5)


@given(seed=st.integers(0, 999))
@settings(max_examples=40)
def test_the_box_of_a_mixed_in_picture_is_where_its_pixels_are(seed: int) -> None:
    black = Sample(
        np.zeros((90, 110, 3), np.uint8), np.empty((0, 4), np.float32), np.empty(0, np.int64)
    )
    other = one_bright_box(100, 70, seed)
    made = mixed(black, other, 96, (0.5, 1.5), np.random.default_rng(seed))
    if can_be_seen(made):
        seen = bright_extent(made.image, (BRIGHT + 114) // 4)
        np.testing.assert_allclose(made.xyxy[0], seen, atol=2.5)


def test_mixing_is_half_of_each() -> None:
    first = Sample(
        np.full((64, 64, 3), 200, np.uint8), np.array([[0, 0, 9, 9]], np.float32), np.array([0])
    )
    other = Sample(
        np.full((64, 64, 3), 100, np.uint8), np.array([[0, 0, 64, 64]], np.float32), np.array([1])
    )
    made = mixed(first, other, 64, (1.0, 1.0), np.random.default_rng(0))
    assert (made.image == 150).all()
    assert made.class_id.tolist() == [0, 1]


def test_colours_change_by_no_more_than_said() -> None:
    image = np.full((4, 4, 3), (200, 100, 100), np.uint8)  # hue 0, saturation 128, value 200
    values = np.array(
        [hsv_shifted(image, (0, 0, 30), np.random.default_rng(n))[0, 0, 0] for n in range(200)]
    ).astype(int)
    assert np.abs(values - 200).max() <= 30
    assert values.min() < 180 < 220 < values.max()
    assert 60 <= (values == 200).sum() <= 140  # half of the time the channel is left alone


def test_the_filter_of_boxes_has_the_numbers_of_the_recipe() -> None:
    before = np.array([[0, 0, 50, 50]] * 4, np.float32)
    after = np.array(
        [[0, 0, 50, 5.1], [0, 0, 50, 4.9], [0, 0, 1.9, 50], [0, 0, 50, 2.4]], np.float32
    )
    assert BoxFilter().keeps(before, after).tolist() == [True, False, False, False]


def test_recipes_are_the_published_ones() -> None:
    assert (COCO.mosaic, COCO.translate, COCO.scale, COCO.border) == (False, 0.25, (0.5, 1.5), 114)
    assert (COCO.channel_reversal, COCO.hsv_chance, COCO.flip, COCO.mixup) == (0.5,) * 4
    assert COCO.hsv == (18, 30, 30)
    assert COCO.box_filter == BoxFilter(2.0, 0.1, 20.0)
    assert not COCO.keeps_empty
    assert (FINETUNE.mosaic, FINETUNE.translate, FINETUNE.border) == (True, 0.1, 128)
    assert (FINETUNE.hsv_chance, FINETUNE.hsv, FINETUNE.flip) == (1.0, (5, 30, 30), 0.5)
    assert (FINETUNE.mixup, FINETUNE.channel_reversal, FINETUNE.box_filter) == (0, 0, None)


def test_a_recipe_without_mosaic_and_mixup_needs_no_further_picture() -> None:
    made = replace(COCO, mixup=0.0).made(
        one_bright_box(64, 80, 1), never, 96, False, np.random.default_rng(2)
    )
    assert made.image.shape == (96, 96, 3)
