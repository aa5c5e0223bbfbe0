"""The detector without a network: what everything but the engine costs."""

from collections.abc import Sequence

import numpy as np

from detectors.base import Grid, Precision, TensorSpec
from detectors.letterbox import Letterbox
from detectors.yolo_nas.preparation import Preparation
from detectors.yolo_nas.processing import Processing
from pipeline.bench.job import Job
from pipeline.core.detections import Detections
from pipeline.core.picture import AnyPicture

LABELS: tuple[str, ...] = ("person", "car", "motorcycle", "bus", "truck")
_BOX_PX = 40.0


class NoModel:
    """A `Detector` that prepares every picture as for the default model on ONNX Runtime, and finds
    `found` boxes in each: a grid that moves, so that a tracker has to follow."""

    name = "no_model"
    sha256 = "0" * 64
    precision: Precision = "fp32"
    engine_name = "none"
    device = "none"
    labels = LABELS
    concurrency = 1

    def __init__(self, job: Job, *, follows: bool) -> None:
        self.letterbox: Letterbox | None = Letterbox(
            job.height, job.width, pad_value=job.pad, follows=follows
        )
        box = self.letterbox.of(job.picture_height, job.picture_width)
        spec = TensorSpec("images", "uint8", (None, box.height, box.width, 3), Grid(1 / 127, 128))
        self._preparation = Preparation(Processing(LABELS, box), spec)
        self._found, self._calls = job.found, 0

    def detect(self, pictures: Sequence[AnyPicture], /) -> list[Detections]:
        """See `detectors.base.Detector.detect`; pictures of the job's size."""
        self._preparation.batch(pictures)
        self._calls += 1
        return [self._boxes() for _ in pictures]

    def close(self) -> None:
        """See `detectors.base.Detector.close`."""

    def _boxes(self) -> Detections:
        if not self._found:
            return Detections.empty()
        numbers = np.arange(self._found)
        left = (numbers % 20) * 1.5 * _BOX_PX + self._calls % 100
        top = (numbers // 20) * 1.5 * _BOX_PX
        xyxy = np.stack([left, top, left + _BOX_PX, top + _BOX_PX], axis=1).astype(np.float32)
        score = np.full(self._found, 0.9, np.float32)
        return Detections(xyxy, score, (numbers % len(LABELS)).astype(np.int32))
