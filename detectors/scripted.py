"""The in-memory twin of every detector, for tests, demos and measuring everything else."""

from collections.abc import Callable, Sequence

from detectors.base import Precision
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections


class ScriptedDetector:
    """A `Detector` that finds what `script` says: (H, W, 3) uint8 picture -> `Detections`."""

    name = "scripted"
    sha256 = "0" * 64
    precision: Precision = "fp32"
    engine_name = "none"
    device = "none"

    def __init__(self, labels: Sequence[str], script: Callable[[U8], Detections]) -> None:
        self.labels = tuple(labels)
        self._script = script

    def detect(self, images: Sequence[U8]) -> list[Detections]:
        """See `detectors.base.Detector.detect`."""
        return [self._script(image) for image in images]

    def close(self) -> None:
        """See `detectors.base.Detector.close`."""
