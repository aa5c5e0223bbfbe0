"""Pictures of things that are nobody."""

from pathlib import Path

import numpy as np

from detectors.training.clutter import write
from detectors.training.data import read_dataset, read_image


def test_the_same_seed_draws_the_same_pictures_without_a_box(tmp_path: Path) -> None:
    for folder in ("first", "again"):
        write(tmp_path / folder, pictures=4, seed=9)
    first, again = (
        read_dataset(tmp_path / folder, "train").pictures for folder in ("first", "again")
    )
    assert [len(picture.xyxy) for picture in first] == [0] * 4
    assert all(picture.labelled == (0, 1, 2, 3, 4) for picture in first)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(read_image(one.path), read_image(other.path))
    assert len({read_image(picture.path).mean() for picture in first}) == 4
