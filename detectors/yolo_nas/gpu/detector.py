"""YOLO-NAS with everything but decoding on a GPU: pictures go up once, a few boxes come back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeGuard

import numpy as np

from detectors.base import Engine
from detectors.letterbox import Transform
from detectors.yolo_nas.detector import YoloNasDetector
from detectors.yolo_nas.gpu.colour import Nv12
from detectors.yolo_nas.gpu.prepare import GpuPreparation
from detectors.yolo_nas.gpu.suppress import finish_batch
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineRunError
from pipeline.core.picture import AnyPicture, as_picture

if TYPE_CHECKING:
    import torch

    from detectors.yolo_nas.gpu.prepare import Picture
    from detectors.yolo_nas.gpu.suppress import Kept


class CudaStream(Protocol):
    """Where an engine computes."""

    def ordered(self) -> AbstractContextManager[None]:
        """Work inside runs there, between what the caller's stream has and will be given."""


class CudaEngine(Engine, Protocol):
    """An engine that also takes and gives tensors where it computes."""

    @property
    def stream(self) -> CudaStream:
        """Where it computes."""

    def input_buffers(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Tensors to write a batch to, in the order of `inputs`."""

    def run_cuda(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Inputs -> outputs, which hold until the next run. Raises `EngineRunError`."""


def takes_tensors(engine: Engine) -> TypeGuard[CudaEngine]:
    """Whether an engine is a `CudaEngine`."""
    return hasattr(engine, "run_cuda")


class YoloNasCudaDetector(YoloNasDetector):
    """As `YoloNasDetector`, with letterbox and suppression where the engine computes.

    Finds what that finds, but for pixels that differ by one grey level at most.
    """

    def __init__(
        self,
        engine: CudaEngine,
        path: Path,
        *,
        score_threshold: float = 0.25,
        iou_threshold: float = 0.7,
        classes: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            engine,
            path,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            classes=classes,
        )
        self._cuda, self.letterbox = engine, None  # whole pictures go up
        (buffer,) = engine.input_buffers(1)
        self._gpu = GpuPreparation(self._processing, buffer.device)

    def detect(self, images: Sequence[AnyPicture | Nv12], /) -> list[Detections]:
        """See `detectors.base.Detector.detect`; takes frames that lie on the GPU too."""
        if not images:
            return []
        try:
            with self._cuda.stream.ordered():
                transforms, found = self._detect(images)
        except RuntimeError as error:
            said = str(error).splitlines() or [type(error).__name__]
            raise EngineRunError(f"{self.name} on {self._cuda.device}: {said[0]}") from error
        return [_detections(*item) for item in zip(transforms, found, strict=True)]

    def _detect(self, images: Sequence[AnyPicture | Nv12]) -> tuple[list[Transform], list[Kept]]:
        (buffer,) = self._cuda.input_buffers(len(images))
        pictures: list[Picture] = [
            image if isinstance(image, Nv12) else self._gpu.upload(as_picture(image).rgb())
            for image in images
        ]
        transforms = self._gpu.fill(pictures, buffer)
        boxes, scores = self._cuda.run_cuda(buffer)
        if self._unwanted:
            scores[..., self._unwanted] = 0
        return transforms, finish_batch(boxes, scores, self._rule, self._processing.voting)


def _detections(transform: Transform, kept: Kept) -> Detections:
    xyxy, score, class_id = (tensor.numpy() for tensor in kept)
    return Detections(transform.to_source(xyxy), score, class_id.astype(np.int32))
