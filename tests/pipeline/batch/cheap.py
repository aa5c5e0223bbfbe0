"""Detectors for batches whose files are drawn: quick, and with every vice of a real one.

EYRIE_TEST_PULSE   a named pipe that gets a byte for every picture, so that a test can kill at
                   an exact point
EYRIE_TEST_ONCE    a file whose absence makes a worker die over a black picture, once
"""

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detectors.base import Detector, Precision
from pipeline.batch.worker import make_batch_detector
from pipeline.config import PipelineConfig
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineLoadError
from pipeline.core.picture import AnyPicture, as_picture

PULSE, ONCE = "EYRIE_TEST_PULSE", "EYRIE_TEST_ONCE"
BLACK, GREY, WHITE = 0, 128, 255


class BarDetector:
    """Finds the bright bar of `tests.stages.sources.clips.scene`; its score depends on all pixels
    of the picture, and on how many pictures it is given at once.

    A black picture kills the process, a white one never returns, a grey one is a fault.
    """

    name = "bar"
    sha256 = "1" * 64
    precision: Precision = "fp32"
    engine_name = "none"
    device = "none"
    concurrency = 1
    letterbox = None
    labels: tuple[str, ...] = ("bar",)

    def detect(self, pictures: Sequence[AnyPicture]) -> list[Detections]:
        """See `detectors.base.Detector.detect`."""
        return [self._find(as_picture(picture).rgb(), len(pictures)) for picture in pictures]

    def close(self) -> None:
        """See `detectors.base.Detector.close`."""

    def _find(self, image: U8, together: int) -> Detections:
        self._misbehave(image)
        columns = np.flatnonzero(image[..., 2].mean(axis=0) > 160)
        if not columns.size:
            return Detections.empty()
        box = [columns[0], 0, columns[-1] + 1, image.shape[0]]
        score = 0.6 + int(image.sum()) % 1000 / 5000 + together / 100
        return Detections(
            np.array([box], np.float32), np.array([score], np.float32), np.zeros(1, np.int32)
        )

    def _misbehave(self, image: U8) -> None:
        level = round(float(image.mean()))
        if float(image.std()) > 3:
            return
        if level < BLACK + 20:
            once = os.environ.get(ONCE)
            if once is None or not Path(once).exists():
                if once is not None:
                    Path(once).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        elif level > WHITE - 20:
            threading.Event().wait()
        else:
            raise ValueError("a grey picture")


class Pulsing:
    """A detector that tells of every picture by a byte into the named pipe."""

    def __init__(self, inner: Detector) -> None:
        self._inner = inner
        self.labels, self.name, self.sha256 = inner.labels, inner.name, inner.sha256
        self.precision, self.engine_name = inner.precision, inner.engine_name
        self.device, self.concurrency = inner.device, inner.concurrency
        self.letterbox = inner.letterbox
        self._pipe = os.open(os.environ[PULSE], os.O_WRONLY)

    def detect(self, pictures: Sequence[AnyPicture]) -> list[Detections]:
        """See `detectors.base.Detector.detect`."""
        found = self._inner.detect(pictures)
        os.write(self._pipe, b"." * len(pictures))
        return found

    def close(self) -> None:
        """See `detectors.base.Detector.close`."""
        self._inner.close()
        os.close(self._pipe)


def make_bar(config: PipelineConfig) -> Detector:
    """For `run_batch`: the bar detector, pulsing where there is a pipe."""
    return Pulsing(BarDetector()) if PULSE in os.environ else BarDetector()


def make_real(config: PipelineConfig) -> Detector:
    """For `run_batch`: the configured model, pulsing where there is a pipe."""
    detector = make_batch_detector(config)
    return Pulsing(detector) if PULSE in os.environ else detector


def make_none(config: PipelineConfig) -> Detector:
    """For `run_batch`: a model that cannot be loaded."""
    raise EngineLoadError("model 'none': there is no such file")
