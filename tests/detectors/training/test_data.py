"""Folders of pictures become batches."""

from pathlib import Path

import numpy as np
import pytest

from detectors.training.augment import STRONG, Sample, mosaic, recoloured, warped
from detectors.training.data import (
    Folder,
    Loader,
    Mixer,
    draw_weights,
    rarity,
    read_dataset,
    read_image,
)
from detectors.training.schedule import Schedule
from pipeline.core.errors import ConfigError

NAMES = ("red", "green")
SCHEDULE = Schedule(total=1000, sizes_px=((0.0, 64), (0.5, 96)))


def test_index_is_read_by_split(pictures: Path) -> None:
    train, val = (read_dataset(pictures, split).pictures for split in ("train", "val"))
    assert (len(train), len(val)) == (12, 4)
    assert train[1].labelled == (0, 1)
    assert train[1].xyxy.shape == (1, 4)
    assert read_image(train[0].path).shape == (48, 64, 3)


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"no\.png: not a readable picture"):
        read_image(tmp_path / "no.png")


def test_batches_are_a_function_of_their_number(pictures: Path) -> None:
    a = Mixer([Folder(pictures)], NAMES, 4, 7, SCHEDULE)
    b = Mixer([Folder(pictures)], NAMES, 4, 7, SCHEDULE)
    a.batch(0)
    one, other = a.batch(3), b.batch(3)
    np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_array_equal(one.xyxy, other.xyxy)
    assert not np.array_equal(one.images, a.batch(4).images)


def test_batches_are_whole(pictures: Path) -> None:
    mixer = Mixer([Folder(pictures)], NAMES, 8, 1, SCHEDULE)
    for index in range(10):
        batch = mixer.batch(index)
        assert batch.images.shape == (8, 3, 64, 64)
        assert batch.images.dtype == np.uint8
        assert len(batch.image) == len(batch.class_id) == len(batch.xyxy)
        assert (np.diff(batch.image) >= 0).all()
        assert batch.xyxy.min(initial=0) >= 0
        assert batch.xyxy.max(initial=0) <= 64
        assert batch.labelled[batch.image, batch.class_id].all()
    assert mixer.batch(100).images.shape == (8, 3, 96, 96)


def test_the_background_process_makes_the_same_batches(pictures: Path) -> None:
    arguments = ([Folder(pictures)], NAMES, 4, 7, SCHEDULE)
    loader = Loader(*arguments, first=2)
    try:
        made = next(iter(loader))
    finally:
        loader.close()
        loader.close()
    wanted = Mixer(*arguments).batch(2)
    assert made.index == 2
    np.testing.assert_array_equal(made.images, wanted.images)


def test_a_folder_is_a_path_with_or_without_a_share() -> None:
    assert Folder.parse("a/b") == Folder(Path("a/b"))
    assert Folder.parse("a:b") == Folder(Path("a:b"))
    assert Folder.parse("a:b:0.25") == Folder(Path("a:b"), 0.25)
    assert Folder.parse("a:1") == Folder(Path("a"), 1.0)


@pytest.mark.parametrize("share", ["nan", "-1", "1.5", "0", "inf"])
def test_a_share_that_is_none_is_one_line(share: str) -> None:
    with pytest.raises(ConfigError, match=f"good:{share}: the share {share} must be above 0"):
        Folder.parse(f"good:{share}")


def test_shares_are_kept_and_the_rest_goes_by_size() -> None:
    weights = draw_weights([100, 300, 50], [None, None, 0.2])
    assert weights.tolist() == pytest.approx([0.2, 0.6, 0.2])
    with pytest.raises(ValueError, match=r"add up to at most 1, got 1\.2"):
        draw_weights([1, 1], [0.7, 0.5])


def test_pictures_of_rare_classes_are_drawn_more_often(pictures: Path) -> None:
    train = read_dataset(pictures, "train").pictures
    assert rarity(train, 2).tolist() == [1.0] * 12
    of_one = [p for p in train if p.class_id[0] == 0] * 9 + [p for p in train if p.class_id[0] == 1]
    weights = rarity(of_one, 2)
    assert weights[-1] == pytest.approx(np.sqrt(0.15 / 0.1))
    assert weights[0] == 1.0


@pytest.mark.parametrize("seed", range(8))
def test_boxes_follow_their_pixels(seed: int) -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 30:60] = 255
    sample = Sample(image, np.array([[30, 20, 60, 40]], np.float32), np.array([1]))
    rng = np.random.default_rng(seed)
    made = warped(sample, (96, 96), STRONG, rng)
    bright = made.image[..., 0] > 180
    if len(made.xyxy) == 0:
        return
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(made.xyxy[0], seen, atol=4.5)


def test_mosaic_keeps_boxes_in_their_quarters() -> None:
    plain = Sample(
        np.full((40, 40, 3), 200, np.uint8), np.array([[5, 5, 35, 35]], np.float32), np.array([0])
    )
    made = mosaic([plain] * 4, 128, STRONG, np.random.default_rng(1))
    assert made.image.shape == (128, 128, 3)
    assert len(made.xyxy) == len(made.class_id) > 0
    assert made.xyxy.min() >= 0
    assert made.xyxy.max() <= 128


def test_colour_changes_stay_in_range_and_nothing_moves() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4] = 220
    made = recoloured(image, 1.0, np.random.default_rng(0))
    assert made.shape == image.shape
    assert made.dtype == np.uint8
    assert made[:4].min() > made[4:].max()
    np.testing.assert_array_equal(recoloured(image, 0.0, np.random.default_rng(0)), image)
