"""The looker, which tells a tracker of the pixels: how the camera moved, how detections look."""

import numpy as np

from pipeline.core.arrays import F32
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineRunError
from pipeline.core.frame import Frame
from pipeline.core.log import get_logger
from pipeline.core.seen import FrameFeatures
from stages.appearance import Embedder
from stages.camera_motion import CameraMotion

log = get_logger(__name__)


class PixelLooker:
    """A `stages.base.Looker`. What is None is not looked at.

    Of a frame's detections, those of at least `least_score` are embedded, the best `most` of them;
    the features of the others are NaN, which says that nothing is known.
    """

    def __init__(
        self,
        camera: CameraMotion | None = None,
        embedder: Embedder | None = None,
        *,
        least_score: float = 0.1,
        most: int = 64,
    ) -> None:
        self.camera = camera
        self.failed_total = 0
        """Frames whose detections the model of appearance failed to embed."""
        self._embedder = embedder
        self._least_score, self._most = least_score, most
        self._epoch: int | None = None

    def look(self, frame: Frame, detections: Detections) -> FrameFeatures:
        """See `stages.base.Looker.look`."""
        affine = None
        if self.camera is not None:
            if frame.info.epoch != self._epoch:
                self.camera.reset()
            step = self.camera.estimate(frame.image, detections.xyxy)
            affine = step.affine if step.known else None
        self._epoch = frame.info.epoch
        features = None
        if self._embedder is not None:
            features = self._features(self._embedder, frame, detections)
        return FrameFeatures(affine, features)

    def _features(self, embedder: Embedder, frame: Frame, found: Detections) -> F32 | None:
        features = np.full((len(found.score), embedder.dimensions), np.nan, np.float32)
        best = np.argsort(-found.score, kind="stable")[: self._most]
        rows = best[found.score[best] >= self._least_score]
        try:
            features[rows] = embedder.embed(frame.image, found.xyxy[rows])
        except EngineRunError as error:
            self.failed_total += 1
            if self.failed_total == 1:
                log.warning("stream %s goes on without appearance: %s", frame.info.stream_id, error)
            return None
        return features
