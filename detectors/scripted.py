"""The in-memory twin of every detector, for tests, demos and measuring everything else."""

from collections.abc import Callable, Sequence

from detectors.base import Precision
from detectors.letterbox import Letterbox
from pipeline.core.detections import Detections
from pipeline.core.picture import AnyPicture, Picture, RgbPicture, as_picture


class ScriptedDetector:
    """A `Detector` that finds what `script` says of each picture; with a `letterbox`, of each
    picture in the size that it asks for."""

    name = "scripted"
    sha256 = "0" * 64
    precision: Precision = "fp32"
    engine_name = "none"
    device = "none"

    def __init__(
        self,
        labels: Sequence[str],
        script: Callable[[Picture], Detections],
        *,
        concurrency: int = 1,
        letterbox: Letterbox | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self.concurrency = concurrency
        self.letterbox = letterbox
        self._script = script

    def detect(self, pictures: Sequence[AnyPicture]) -> list[Detections]:
        """See `detectors.base.Detector.detect`."""
        return [self._script(self._seen(as_picture(picture))) for picture in pictures]

    def _seen(self, picture: Picture) -> Picture:
        if self.letterbox is None:
            return picture
        _, size = self.letterbox.place(picture.height, picture.width)
        return RgbPicture(picture.fit(*size))

    def close(self) -> None:
        """See `detectors.base.Detector.close`."""
