"""YOLO-NAS on an engine: pictures in, detections in source pixels out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.base import Engine, Precision
from detectors.letterbox import Letterbox, Transform
from detectors.yolo_nas.postprocess import Suppression, suppress
from pipeline.core.arrays import F32, U8
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineLoadError

METADATA_KEY = "eyrie.model"
WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def resolve(name_or_path: str) -> Path:
    """The file of a bundled model, such as `yolo_nas_n_int8`, or of a path to an ONNX file.

    Raises `EngineLoadError` that lists the bundled names.
    """
    bundled = WEIGHTS / f"{name_or_path}.onnx"
    if bundled.is_file():
        return bundled
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = ", ".join(sorted(file.stem for file in WEIGHTS.glob("*.onnx"))) or "none"
    raise EngineLoadError(
        f"model {name_or_path!r}: no such file, and not a bundled model ({names})"
    )


@dataclass(frozen=True, slots=True)
class Description:
    """What a YOLO-NAS file says of itself in its metadata."""

    variant: str
    labels: tuple[str, ...]
    letterbox: Letterbox
    bgr: bool

    @classmethod
    def read(cls, metadata: dict[str, str], where: str) -> "Description":
        """Raises `EngineLoadError` when the file is of another family or says too little."""
        if METADATA_KEY not in metadata:
            raise EngineLoadError(
                f"model {where}: not a YOLO-NAS model exported by Eyrie "
                f"(its metadata has no {METADATA_KEY!r})"
            )
        try:
            said: dict[str, Any] = json.loads(metadata[METADATA_KEY])
            prepare = said["preprocessing"]
            height, width = said["input_size"]
            return cls(
                str(said["variant"]),
                tuple(map(str, said["class_names"])),
                Letterbox(height, width, prepare["letterbox"], prepare["pad_value"]),
                prepare["color"] == "bgr",
            )
        except (ValueError, KeyError, TypeError) as error:
            raise EngineLoadError(
                f"model {where}: metadata {METADATA_KEY!r} is damaged: {error!r}"
            ) from error


class YoloNasDetector:
    """A YOLO-NAS file on an engine, as `detectors.base.Detector`.

    `classes` keeps only these labels. Raises `EngineLoadError` when the file is not a YOLO-NAS
    model, or a wanted class is not among its labels.
    """

    def __init__(
        self,
        engine: Engine,
        path: Path,
        *,
        score_threshold: float = 0.25,
        iou_threshold: float = 0.7,
        classes: Sequence[str] | None = None,
    ) -> None:
        description = Description.read(engine.metadata, path.name)
        self.labels = description.labels
        self.name = path.stem
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.precision: Precision = engine.precision
        self.engine_name = engine.name
        self._engine = engine
        self._letterbox = description.letterbox
        self._bgr = description.bgr
        self._rule = Suppression(conf=score_threshold, iou=iou_threshold)
        self._unwanted = self._columns_to_clear(classes, path)

    def _columns_to_clear(self, classes: Sequence[str] | None, path: Path) -> list[int]:
        unknown = sorted(set(classes or ()) - set(self.labels))
        if unknown:
            raise EngineLoadError(
                f"model {path.name}: no class {', '.join(unknown)}; it knows {', '.join(self.labels)}"
            )
        return [
            i for i, label in enumerate(self.labels) if classes is not None and label not in classes
        ]

    def detect(self, images: Sequence[U8]) -> list[Detections]:
        """See `detectors.base.Detector.detect`."""
        if not images:
            return []
        tensor, transforms = self._prepare(images)
        boxes, scores = self._engine.run(tensor)
        return [self._finish(*item) for item in zip(boxes, scores, transforms, strict=True)]

    def warm_up(self, batch_size: int) -> None:
        """Run an empty batch, so that the first real one is as fast as the others."""
        grey = np.full((32, 32, 3), self._letterbox.pad_value, np.uint8)
        self.detect([grey] * batch_size)

    def close(self) -> None:
        """See `detectors.base.Detector.close`."""
        self._engine.close()

    def _prepare(self, images: Sequence[U8]) -> tuple[F32, list[Transform]]:
        box = self._letterbox
        tensor = np.empty((len(images), 3, box.height, box.width), np.float32)
        transforms = []
        for row, image in zip(tensor, images, strict=True):
            padded, transform = box.pad(image)
            chw = (padded[..., ::-1] if self._bgr else padded).transpose(2, 0, 1)
            np.multiply(chw, np.float32(1 / 255), out=row)
            transforms.append(transform)
        return tensor, transforms

    def _finish(self, boxes: F32, scores: F32, transform: Transform) -> Detections:
        if self._unwanted:
            scores[:, self._unwanted] = 0
        xyxy, score, class_id = suppress(boxes, scores, self._rule)
        return Detections(transform.to_source(xyxy), score, class_id.astype(np.int32))
