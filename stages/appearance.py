"""The appearance of detections as vectors, by any ONNX model that embeds crops.

No model comes with this. One fits that takes float32 pictures, (N, 3, H, W) or (N, H, W, 3), and
gives float32 vectors (N, D), such that the same object gives vectors of nearly the same direction.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from pipeline.core.arrays import F32, I64, U8
from pipeline.core.errors import EngineLoadError

if TYPE_CHECKING:
    from detectors.base import Engine

Order = Literal["rgb", "bgr"]
_LEAST_SIDE_PX = 2
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class CropInput:
    """The way a crop becomes the model's input: value = (level * scale - mean) / std, with levels
    of 0 to 255, `mean` and `std` by channel in the model's `order`. `size` (height, width) is only
    for models that leave theirs open. Raises `ValueError`."""

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    scale: float = 1 / 255
    order: Order = "rgb"
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if min(self.std) <= 0 or self.scale <= 0:
            raise ValueError(f"CropInput: std {self.std} and scale {self.scale} must be > 0")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"CropInput: size {self.size} must be at least 1x1")


class Embedder:
    """One model for the crops of all streams; one caller. The engine stays its maker's to close.

    At most `most_at_once` crops are run together, fewer where the model says so. Tries the model
    once, and raises `EngineLoadError`, which says why, for one that does not fit.
    """

    def __init__(
        self, engine: "Engine", crops: CropInput | None = None, most_at_once: int = 32
    ) -> None:
        self._engine, self._crops = engine, crops or CropInput()
        if len(engine.inputs) != 1:
            raise _misfit(f"it takes {len(engine.inputs)} inputs, not one picture")
        spec = engine.inputs[0]
        if spec.dtype != "float32" or len(spec.shape) != 4:
            raise _misfit(
                f"its input is {spec.dtype} {_shown(spec.shape)}, not float32 (N, 3, H, W)"
            )
        self._planar = spec.shape[1] == 3
        if not self._planar and spec.shape[3] != 3:
            raise _misfit(
                f"its input is {_shown(spec.shape)}: neither (N, 3, H, W) nor (N, H, W, 3)"
            )
        sides = spec.shape[2:] if self._planar else spec.shape[1:3]
        self._size = _size(sides, self._crops.size)
        self._fixed = spec.shape[0]
        self._most_at_once = self._fixed or most_at_once
        self.dimensions = self._try().shape[1]
        """The number of dimensions D of a vector."""

    def embed(self, image: U8, xyxy: F32) -> F32:
        """Embed boxes (N, 4) in a picture (H, W, 3) uint8 RGB -> (N, D) float32 of length 1. NaN
        for a box of which less than 2 pixels are in the picture, and where the model gives no
        direction. Blocks while the engine runs. Raises `EngineRunError`."""
        out = np.full((len(xyxy), self.dimensions), np.nan, np.float32)
        edges, rows = _visible(xyxy, image.shape)
        for first in range(0, len(rows), self._most_at_once):
            some = slice(first, first + self._most_at_once)
            out[rows[some]] = self._embed([_cut(image, edge) for edge in edges[some].tolist()])
        return out

    def _embed(self, pictures: list[U8]) -> F32:
        """Crops of any sizes, at most `most_at_once` -> (K, D)."""
        height, width = self._size
        batch = np.zeros((self._fixed or len(pictures), height, width, 3), np.float32)
        for row, picture in enumerate(pictures):
            batch[row] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        how = self._crops
        if how.order == "bgr":
            batch = batch[..., ::-1]
        mean, std = (np.array(one, np.float32) for one in (how.mean, how.std))
        batch = (batch * np.float32(how.scale) - mean) / std
        if self._planar:
            batch = batch.transpose(0, 3, 1, 2)
        vectors = self._engine.run(np.ascontiguousarray(batch))[0]
        return _of_length_1(np.asarray(vectors[: len(pictures)], np.float32))

    def _try(self) -> F32:
        """What it makes of two grey pictures, or of as many as it takes."""
        count = min(2, self._most_at_once)
        given = self._fixed or count
        shape = (given, 3, *self._size) if self._planar else (given, *self._size, 3)
        vectors = self._engine.run(np.zeros(shape, np.float32))[0]
        if vectors.ndim != 2 or vectors.shape[0] != given or vectors.dtype.kind != "f":
            made = f"{vectors.dtype} {vectors.shape}"
            raise _misfit(f"of {given} pictures it makes {made}, not float ({given}, D)")
        return np.asarray(vectors, np.float32)


def _size(sides: tuple[int | None, ...], given: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width of the crops."""
    height, width = sides
    if height is None or width is None:
        if given is None:
            raise _misfit("it leaves the size of its pictures open: give size, [height, width]")
        height, width = height or given[0], width or given[1]
    if given is not None and given != (height, width):
        raise _misfit(f"size {list(given)} is given, but it takes {[height, width]}")
    return height, width


def _visible(xyxy: F32, shape: tuple[int, ...]) -> tuple[I64, I64]:
    """Whole pixels (K, 4) of boxes (N, 4) within the picture, and the rows (K,) of those that have
    enough of them."""
    height, width = shape[:2]
    finite = np.asarray(np.isfinite(xyxy).all(axis=1), np.bool_)
    edges = np.clip(
        np.where(finite[:, None], xyxy, 0).astype(np.float64), 0, [width, height, width, height]
    )
    edges[:, :2], edges[:, 2:] = np.floor(edges[:, :2]), np.ceil(edges[:, 2:])
    whole = edges.astype(np.int64)
    rows = np.flatnonzero((whole[:, 2:] - whole[:, :2] >= _LEAST_SIDE_PX).all(axis=1))
    return whole[rows], rows


def _cut(image: U8, edge: list[int]) -> U8:
    left, top, right, bottom = edge
    return image[top:bottom, left:right]


def _of_length_1(vectors: F32) -> F32:
    """(K, D), NaN where there is no direction."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    sound = np.isfinite(length) & (length > _SMALLEST)
    return np.where(sound, vectors / np.where(sound, length, 1), np.nan).astype(np.float32)


def _misfit(why: str) -> EngineLoadError:
    return EngineLoadError(f"no model of appearance: {why}")


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"
