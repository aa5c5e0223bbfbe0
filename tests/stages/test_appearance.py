"""Crops to vectors, by small models that are made here and run for real."""

from pathlib import Path

import numpy as np
import pytest

from detectors.engines.onnxruntime import OnnxRuntimeEngine
from pipeline.core.arrays import F32, U8
from pipeline.core.errors import EngineLoadError
from stages.appearance import CropInput, Embedder
from tests.stages.colour_model import CHANNELS_LAST, FLOAT, PLANAR, Shape, colour_model

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
PLAIN = CropInput(mean=(0, 0, 0), std=(1, 1, 1))


def embedder(
    folder: Path, shape: Shape = PLANAR, crops: CropInput = PLAIN, most_at_once: int = 32
) -> Embedder:
    engine = OnnxRuntimeEngine(colour_model(folder / "colour.onnx", shape), threads=1)
    return Embedder(engine, crops, most_at_once)


def coloured(*colours: tuple[int, int, int]) -> tuple[U8, F32]:
    """Squares of 20 px side by side, and their boxes."""
    image = np.zeros((20, 20 * len(colours), 3), np.uint8)
    for place, colour in enumerate(colours):
        image[:, 20 * place : 20 * place + 20] = colour
    boxes = [[20 * place, 0, 20 * place + 20, 20] for place in range(len(colours))]
    return image, np.array(boxes, np.float32)


@pytest.mark.parametrize("shape", [PLANAR, CHANNELS_LAST, (1, 3, 32, 16), (4, 32, 16, 3)])
@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_colours_come_out_as_directions(tmp_path: Path, shape: Shape, count: int) -> None:
    colours = [(RED, GREEN, BLUE)[place % 3] for place in range(count)]
    image, boxes = coloured(*(colours or [RED]))
    vectors = embedder(tmp_path, shape).embed(image, boxes[:count])
    assert vectors.dtype == np.float32
    wanted = np.array(colours, np.float32).reshape(-1, 3) / 255
    np.testing.assert_allclose(vectors, wanted, atol=1e-6)


def test_levels_are_normalised_by_channel_in_the_order_of_the_model(tmp_path: Path) -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    image, boxes = coloured((200, 100, 50))
    for order, levels in (("rgb", (200, 100, 50)), ("bgr", (50, 100, 200))):
        crops = CropInput(mean, std, 1 / 128, "bgr" if order == "bgr" else "rgb")
        vector = embedder(tmp_path, crops=crops).embed(image, boxes)[0]
        wanted = (np.array(levels) / 128 - mean) / std
        np.testing.assert_allclose(vector, wanted / np.linalg.norm(wanted), rtol=1e-5)


def test_the_size_of_a_batch_changes_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (300, 400, 3), dtype=np.uint8)
    corner = rng.uniform(0, 250, (17, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 90, (17, 2))], 1).astype(np.float32)
    one = embedder(tmp_path, most_at_once=1).embed(image, boxes)
    all_ = embedder(tmp_path).embed(image, boxes)
    fixed = embedder(tmp_path, (4, 3, 32, 16)).embed(image, boxes)
    np.testing.assert_allclose(one, all_, atol=1e-6)
    np.testing.assert_allclose(fixed, all_, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(all_, axis=1), 1, atol=1e-6)


def test_boxes_without_pixels_give_nan_and_no_error(tmp_path: Path) -> None:
    image, boxes = coloured(RED)
    wild = [
        [np.nan, 0, 10, 10],
        [-np.inf, -np.inf, np.inf, np.inf],
        [100, 100, 120, 120],
        [5, 5, 5, 5],
        [10, 10, 2, 2],
        [-50, 3, 1, 9],
    ]
    vectors = embedder(tmp_path).embed(image, np.concatenate([boxes, np.array(wild, np.float32)]))
    known = np.isfinite(vectors).all(axis=1)
    assert known.tolist() == [True] + 6 * [False]


def test_no_direction_is_nan(tmp_path: Path) -> None:
    image, boxes = coloured((0, 0, 0), RED)
    vectors = embedder(tmp_path).embed(image, boxes)
    assert np.isnan(vectors[0]).all()
    assert vectors[1].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (("n", 3, 32), "its input is float32 (?, 3, 32), not float32 (N, 3, H, W)"),
        (("n", 1, 32, 16), "neither (N, 3, H, W) nor (N, H, W, 3)"),
        (("n", 3, "h", "w"), "it leaves the size of its pictures open: give size"),
    ],
)
def test_models_that_do_not_fit_are_refused(tmp_path: Path, shape: Shape, said: str) -> None:
    path = colour_model(tmp_path / "other.onnx", shape, operator="Identity")
    engine = OnnxRuntimeEngine(path, threads=1)
    with pytest.raises(EngineLoadError) as refused:
        Embedder(engine)
    assert said in str(refused.value)


def test_a_model_that_makes_no_vectors_is_refused(tmp_path: Path) -> None:
    path = colour_model(tmp_path / "same.onnx", operator="Identity")
    with pytest.raises(EngineLoadError, match=r"not float \(2, D\)"):
        Embedder(OnnxRuntimeEngine(path, threads=1))


def test_open_sizes_take_the_one_that_is_given(tmp_path: Path) -> None:
    crops = CropInput((0, 0, 0), (1, 1, 1), size=(8, 12))
    image, boxes = coloured(GREEN)
    vectors = embedder(tmp_path, ("n", 3, "h", "w"), crops).embed(image, boxes)
    assert vectors.tolist() == [[0, 1, 0]]
    with pytest.raises(EngineLoadError, match=r"size \[8, 12\] is given, but it takes \[32, 16\]"):
        embedder(tmp_path, PLANAR, crops)


def test_models_of_another_type_are_refused(tmp_path: Path) -> None:
    double = FLOAT + 10  # TensorProto.DOUBLE
    path = colour_model(tmp_path / "double.onnx", kind=double)
    with pytest.raises(EngineLoadError, match="its input is tensor"):
        Embedder(OnnxRuntimeEngine(path, threads=1))


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="must be > 0"):
        CropInput(std=(1, 0, 1))
    with pytest.raises(ValueError, match="at least 1x1"):
        CropInput(size=(0, 4))
