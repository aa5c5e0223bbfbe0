"""Model files as plain functions from pictures to boxes, whatever runs them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectors.base import Engine, Precision, TensorSpec
from detectors.engines.open import EngineOptions, open_engine
from detectors.yolo_nas.architecture.variants import VARIANTS
from detectors.yolo_nas.checkpoints import download
from detectors.yolo_nas.detector import Description, resolve
from detectors.yolo_nas.errors import CheckpointError
from detectors.yolo_nas.processing import Processing
from detectors.yolo_nas.proof import prove
from pipeline.core.arrays import F32
from pipeline.core.errors import EngineLoadError
from pipeline.core.log import get_logger

if TYPE_CHECKING:
    from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint

log = get_logger(__name__)

Network = Callable[[F32], tuple[F32, F32]]
"""Images (B, 3, H, W) -> boxes (B, A, 4) xyxy in input pixels, scores (B, A, C); all float32."""

TORCH_STARTS = (b"PK", b"\x80\x02")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network that is ready to run, how pictures are prepared for it, and the file it is from."""

    network: Network
    processing: Processing
    path: Path
    sha256: str


def load(
    source: str | Path,
    *,
    accept_licence: bool = False,
    sha256: str | None = None,
    options: EngineOptions | None = None,
) -> Loaded:
    """An ONNX file on the engine of `options`, by default ONNX Runtime, or a checkpoint in
    PyTorch, fused, on the CPU.

    See `detectors.yolo_nas.predict.predictor.YoloNAS.load`.
    """
    if isinstance(source, str) and download.is_remote(source):
        path = download.fetch(source, accept_licence=accept_licence, sha256=sha256)
    else:
        path = _local(str(source), options.precision if options else None)
    if _is_checkpoint(path):
        if options is not None:
            raise EngineLoadError(
                f"model {path}: a checkpoint runs in PyTorch, on no other engine or precision; "
                "make an ONNX file of it with eyrie model export"
            )
        return _from_checkpoint(path, sha256)
    return _from_onnx(path, sha256, options or EngineOptions(engine="onnxruntime"))


def _local(source: str, precision: Precision | None) -> Path:
    """As `resolve`; the error for the name of a variant says how to come by such a model."""
    try:
        return resolve(source, precision)
    except EngineLoadError as error:
        if source not in VARIANTS:
            raise
        public = f"{source}_coco"
        known = f"; its public weights are {public}" if public in download.RELEASES else ""
        train = f"eyrie model train --variant {source}"
        raise EngineLoadError(f"{error}{known}; to train your own: {train}") from error


def _is_checkpoint(path: Path) -> bool:
    if path.suffix in (".pth", ".pt", ".ckpt"):
        return True
    with path.open("rb") as file:
        return path.suffix != ".onnx" and file.read(4).startswith(TORCH_STARTS)


def _from_onnx(path: Path, sha256: str | None, options: EngineOptions) -> Loaded:
    digest = download.sha256_of(path)
    if sha256 is not None and digest != sha256.lower():
        raise CheckpointError(f"model {path}: its SHA-256 is {digest}, not {sha256}")
    engine = _AnyBatch(open_engine(path, options))
    description = Description.read(engine.metadata, path.name)
    description.check_graph(engine, path.name)
    try:
        prove(engine, description.processing, path.name)
    except EngineLoadError as error:  # whoever asks how good a model is gets an answer
        log.warning("%s", error)
    return Loaded(engine.run, description.processing, path, digest)


def _from_checkpoint(path: Path, sha256: str | None) -> Loaded:
    import_torch(path)
    from detectors.yolo_nas.checkpoints import checkpoint

    read = checkpoint.read(path, sha256=sha256)
    return Loaded(_torch_network(read), read.processing, path, read.sha256)


def import_torch(path: Path | str) -> None:
    """Raises `EngineLoadError` that says what to install where PyTorch is missing."""
    try:
        importlib.import_module("torch")
    except ImportError as error:
        raise EngineLoadError(
            f"{path} needs PyTorch, which is not installed: pip install 'eyrie[train]', "
            "or use an .onnx file, which needs nothing"
        ) from error


def _torch_network(read: Checkpoint) -> Network:
    import torch

    from detectors.yolo_nas.architecture.fuse import fold_batch_norms

    model = read.module().fuse(full=True)
    fold_batch_norms(model)

    def network(images: F32) -> tuple[F32, F32]:
        with torch.inference_mode():
            (boxes, scores), _ = model(torch.from_numpy(images))
        return boxes.numpy(), scores.numpy()

    return network


class _AnyBatch:
    """An engine that takes batches of any size, also where it has a limit or its graph was made
    for one size.

    There, batches are cut to that size; for a graph of one size the last one is filled up with its
    last picture.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._size = engine.inputs[0].shape[0] if engine.inputs and engine.inputs[0].shape else None
        self._most = self._size or engine.batch_limit
        self.batch_limit: int | None = None
        self.concurrency, self.can_be_sized = engine.concurrency, False
        self.name, self.device = engine.name, engine.device
        self.precision, self.metadata = engine.precision, engine.metadata
        self.inputs = self._free(engine.inputs)
        self.outputs = self._free(engine.outputs)
        self.close = engine.close

    def run(self, *tensors: F32) -> tuple[F32, F32]:
        """Images (B, 3, H, W) -> boxes (B, A, 4), scores (B, A, C)."""
        (images,) = tensors
        if self._most is None:
            boxes, scores = self._engine.run(images)
            return boxes, scores
        parts = [self._run_whole(images[at : at + self._most])
                 for at in range(0, len(images), self._most)]  # fmt: skip
        all_boxes, all_scores = zip(*parts, strict=True)
        return np.concatenate(all_boxes), np.concatenate(all_scores)

    def _run_whole(self, images: F32) -> tuple[F32, F32]:
        lacking = (self._size or len(images)) - len(images)
        filled = np.concatenate([images, np.repeat(images[-1:], lacking, axis=0)])
        boxes, scores = self._engine.run(filled)
        return boxes[: len(images)], scores[: len(images)]

    def _free(self, specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        """The specs with the batch as a free dimension, where it is the one size."""
        return tuple(
            TensorSpec(spec.name, spec.dtype, (None, *spec.shape[1:]))
            if self._size is not None and spec.shape[:1] == (self._size,)
            else spec
            for spec in specs
        )
