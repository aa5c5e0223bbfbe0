"""Pictures to what an engine takes."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from detectors.base import Grid, TensorSpec
from detectors.letterbox import Letterbox
from detectors.yolo_nas.preparation import Preparation, Steps
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import U8
from pipeline.core.picture import RgbPicture

PLAIN = Processing(("a",), Letterbox(64, 96))
ODD = Processing(
    ("a",), Letterbox(64, 96, "bottom_right", 3), "bgr", (120.0, 110.0, 100.0), (60.0, 70.0, 80.0)
)
GRID = Grid(1 / 127, 128)
INTEGERS = TensorSpec("x", "uint8", (None, 64, 96, 3), GRID)
FLOATS = TensorSpec("x", "float32", (None, 3, 64, 96))


def images() -> list[U8]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((64, 96), (50, 200), (90, 30))]


@pytest.mark.parametrize("processing", [PLAIN, ODD, replace(PLAIN, std=(1.0, 1.0, 1.0))])
@pytest.mark.parametrize("grid", [GRID, Grid(1 / 255, 0), Grid(0.03, 77)])
def test_integers_are_those_of_quantize_linear(processing: Processing, grid: Grid) -> None:
    tensor, transforms = Preparation(processing, replace(INTEGERS, grid=grid)).batch(images())
    floats, same = processing.prepare_batch(images())
    wanted = np.rint(floats / np.float32(grid.scale)) + grid.zero_point
    assert transforms == same
    np.testing.assert_array_equal(tensor.transpose(0, 3, 1, 2), wanted.clip(0, 255))


def test_of_the_plain_case_the_table_is_a_scale() -> None:
    levels, same = np.arange(256), Steps(PLAIN, Grid(1 / 255, 0))
    np.testing.assert_array_equal(same.table[0], levels[:, None].repeat(3, 1))
    halved = Steps(PLAIN, GRID)
    assert halved.table[0, :, 0].tolist() == (np.rint(levels / 255 * 127) + 128).tolist()
    assert same._is_line
    assert halved._is_line
    assert not Steps(ODD, GRID)._is_line


@pytest.mark.parametrize("processing", [PLAIN, ODD])
def test_floats_are_those_of_the_processing(processing: Processing) -> None:
    tensor, transforms = Preparation(processing, FLOATS).batch(images())
    wanted, same = processing.prepare_batch(images())
    assert transforms == same
    np.testing.assert_array_equal(tensor, wanted)


@pytest.mark.parametrize("spec", [INTEGERS, FLOATS])
def test_memory_is_made_once_and_holds_nothing_of_the_batch_before(spec: TensorSpec) -> None:
    preparation = Preparation(PLAIN, spec)
    large, _ = preparation.batch(images())
    first = preparation.batch(images()[:1])[0]
    assert np.shares_memory(first, large)
    turned, _ = preparation.batch([RgbPicture(image) for image in images()[::-1]])
    fresh, _ = Preparation(PLAIN, spec).batch(images()[::-1])
    np.testing.assert_array_equal(turned, fresh)
    assert np.shares_memory(turned, large)


def test_each_thread_has_memory_of_its_own() -> None:
    preparation = Preparation(PLAIN, INTEGERS)
    mine, _ = preparation.batch(images())
    before, theirs = mine.copy(), []
    thread = threading.Thread(target=lambda: theirs.append(preparation.batch(images()[::-1])[0]))
    thread.start()
    thread.join(10)
    assert not np.shares_memory(mine, theirs[0])
    np.testing.assert_array_equal(mine, before)
