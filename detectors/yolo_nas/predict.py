"""Prediction in one call: images in, boxes in their own pixels out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from detectors.letterbox import Letterbox
from detectors.yolo_nas.detector import Description, resolve
from detectors.yolo_nas.postprocess import Suppression, suppress
from pipeline.core.arrays import F32, I64, U8

Network = Callable[[F32], tuple[F32, F32]]


@dataclass(frozen=True, slots=True)
class DetectionPrediction:
    """What was found: boxes (N, 4) f32 in image pixels, unclipped, best first."""

    bboxes_xyxy: F32
    confidence: F32
    labels: I64


@dataclass(frozen=True, slots=True)
class ImageDetectionPrediction:
    """An image (H, W, 3) uint8 RGB and what was found in it."""

    image: U8
    class_names: tuple[str, ...]
    prediction: DetectionPrediction


class YoloNAS:
    """A network with its preparation of images, its class names and its suppression rule.

    `network` takes images (B, 3, H, W) f32 in [0, 1] and returns boxes (B, A, 4) xyxy pixels and
    scores (B, A, C).
    """

    def __init__(
        self,
        network: Network,
        class_names: Sequence[str],
        letterbox: Letterbox,
        rule: Suppression | None = None,
    ) -> None:
        self.network = network
        self.class_names = tuple(class_names)
        self.letterbox = letterbox
        self.rule = rule or Suppression()

    @classmethod
    def load(cls, source: str | Path) -> YoloNAS:
        """From an .onnx or .pth file of this project, or the name of a bundled model.

        Raises `EngineLoadError` when there is no such file, or it is not such a model.
        """
        path = resolve(str(source))
        return cls(*(_from_checkpoint(path) if path.suffix == ".pth" else _from_onnx(path)))

    @overload
    def predict(self, images: U8) -> ImageDetectionPrediction: ...
    @overload
    def predict(self, images: Sequence[U8]) -> list[ImageDetectionPrediction]: ...
    def predict(
        self, images: U8 | Sequence[U8]
    ) -> ImageDetectionPrediction | list[ImageDetectionPrediction]:
        """Detect in one image (H, W, 3) uint8 RGB, or in several; results in their order."""
        if isinstance(images, np.ndarray):
            return self._predict_one(images)
        return [self._predict_one(image) for image in images]

    def _predict_one(self, image: U8) -> ImageDetectionPrediction:
        prepared, transform = self.letterbox.apply(image)
        boxes, scores = self.network(prepared[None])
        xyxy, score, class_id = suppress(boxes[0], scores[0], self.rule)
        found = DetectionPrediction(transform.to_source(xyxy), score, class_id)
        return ImageDetectionPrediction(image, self.class_names, found)


def _from_onnx(path: Path) -> tuple[Network, tuple[str, ...], Letterbox]:
    from detectors.engines.onnxruntime import OnnxRuntimeEngine

    engine = OnnxRuntimeEngine(path)
    description = Description.read(engine.metadata, path.name)
    description.check_graph(engine, path.name)

    def network(images: F32) -> tuple[F32, F32]:
        if description.bgr:
            images = np.ascontiguousarray(images[:, ::-1])
        boxes, scores = engine.run(images)
        return boxes, scores

    return network, description.labels, description.letterbox


def _from_checkpoint(path: Path) -> tuple[Network, tuple[str, ...], Letterbox]:
    import torch

    from detectors.yolo_nas.model import from_checkpoint

    state = torch.load(path, map_location="cpu", weights_only=True)
    model = from_checkpoint(state).fuse()

    def network(images: F32) -> tuple[F32, F32]:
        with torch.inference_mode():
            (boxes, scores), _ = model(torch.from_numpy(images))
        return boxes.numpy(), scores.numpy()

    return network, tuple(state["class_names"]), Letterbox(*state["input_size"])
