"""YOLO-NAS on an engine: pictures in, detections in source pixels out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from detectors.base import Engine, Precision, TensorSpec
from detectors.letterbox import Letterbox, Transform
from detectors.yolo_nas.by_shape import Networks, OpenSized
from detectors.yolo_nas.postprocess import Suppression
from detectors.yolo_nas.processing import Processing
from detectors.yolo_nas.proof import STRIDES_PX, prove
from pipeline.core.arrays import F32
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineLoadError, EngineRunError
from pipeline.core.log import one_line
from pipeline.core.picture import AnyPicture
from pipeline.core.turn import NUMPY_TURN

METADATA_KEY = "eyrie.model"
INT8_SUFFIX = "_int8"
FAMILY = "yolo_nas"
WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def resolve(name_or_path: str, precision: Precision | None = None) -> Path:
    """The file of a bundled model, such as `yolo_nas_n_int8`, or of a path to an ONNX file.

    Of a bundled model the file for `precision` is taken, whichever of them is named: the one
    ending in `_int8`, else the one of floats. Raises `EngineLoadError` that lists the bundled
    names.
    """
    bundled = name_or_path
    if precision is not None:
        bundled = name_or_path.removesuffix(INT8_SUFFIX)
        bundled += INT8_SUFFIX if precision == "int8" else ""
    try:
        for path in (WEIGHTS / f"{bundled}.onnx", Path(name_or_path)):
            if path.is_file():
                return path
    except OSError as error:
        raise EngineLoadError(f"model {name_or_path!r}: {error.strerror}") from error
    names = ", ".join(sorted(file.stem for file in WEIGHTS.glob("*.onnx"))) or "none"
    raise EngineLoadError(
        f"model {name_or_path!r}: no such file, and not a bundled model ({names})"
    )


@dataclass(frozen=True, slots=True)
class Description:
    """What a YOLO-NAS file says of itself in its metadata."""

    variant: str
    processing: Processing

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
            family = said.get("family", FAMILY)
            if family != FAMILY:
                raise EngineLoadError(
                    f"model {where}: is of the family {family!r:.80}, no YOLO-NAS"
                )
            return cls(str(said["variant"]), Processing.from_metadata(said))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EngineLoadError(
                f"model {where}: metadata {METADATA_KEY!r} is damaged: {error!r}"
            ) from error

    def check_graph(self, engine: Engine, where: str) -> None:
        """Raise `EngineLoadError` unless the engine takes and gives what is described here: one
        batch of any size in, boxes and scores of every anchor out."""
        height, width = self.processing.input_size
        wanted_input = (3, height, width)
        if engine.inputs and engine.inputs[0].grid is not None:
            wanted_input = (height, width, 3)
        anchors = sum((height // stride) * (width // stride) for stride in STRIDES_PX)
        for what, specs, wanted in (
            ("takes", engine.inputs, [wanted_input]),
            ("gives", engine.outputs, [(anchors, 4), (anchors, len(self.processing.class_names))]),
        ):
            if len(specs) != len(wanted) or not all(map(_fits, specs, wanted)):
                found = ", ".join(f"{spec.dtype} {spec.shape}" for spec in specs)
                shapes = ", ".join(str((None, *shape)) for shape in wanted)
                raise EngineLoadError(
                    f"model {where}: the graph {what} {found or 'nothing'}, but its metadata "
                    f"{METADATA_KEY!r} describes float32 {shapes}"
                )


def _fits(spec: TensorSpec, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is a batch, of any size, of float32 arrays of that shape, or with a grid of
    uint8."""
    batch, *sides = spec.shape or (0,)
    same = len(sides) == len(shape) and all(
        side in (None, length) for side, length in zip(sides, shape, strict=True)
    )
    dtype = "float32" if spec.grid is None else "uint8"
    return spec.dtype == dtype and batch is None and same


def _with_plain_scores(processing: Processing) -> Processing:
    """Boxes are refined, scores stay the network's: a tracker's thresholds are limits of those, and
    with support in them small and distant objects fall below, so that crossings are missed."""
    if processing.voting is None:
        return processing
    return replace(processing, voting=replace(processing.voting, support=0.0))


class YoloNasDetector:
    """A YOLO-NAS file on an engine, as `detectors.base.Detector`.

    Of boxes that overlap by more than `iou_threshold`, of whatever class, the best is kept.
    `classes` keeps only these labels. Raises `EngineLoadError` when the file is not a YOLO-NAS
    model, its graph is not what its metadata says, a wanted class is not among its labels, or the
    engine's answers are not those stored in the file: see `detectors.yolo_nas.proof`. Runs two
    pictures for that.

    With `open_sized`, the network's input has the shape of the pictures: as many pixels at most as
    the file's, but none wasted on padding that a 16:9 picture needs in a square. See
    `detectors.yolo_nas.by_shape.Networks`, also for `waits`.
    """

    def __init__(
        self,
        engine: Engine,
        path: Path,
        *,
        score_threshold: float = 0.25,
        iou_threshold: float = 0.7,
        classes: Sequence[str] | None = None,
        open_sized: OpenSized | None = None,
        waits: bool = True,
    ) -> None:
        description = Description.read(engine.metadata, path.name)
        description.check_graph(engine, path.name)
        self.labels = description.processing.class_names
        self.name = one_line(path.stem)
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.precision: Precision = engine.precision
        self.engine_name = engine.name
        self.device, self.concurrency = engine.device, engine.concurrency
        self._processing = _with_plain_scores(description.processing)
        self._networks = Networks(engine, self._processing, open_sized, waits=waits)
        self.letterbox: Letterbox | None = self._networks.letterbox
        # One object is one detection, whatever it resembles: each would be tracked and counted.
        self._rule = Suppression(
            conf=score_threshold, iou=iou_threshold, multi_label=False, class_agnostic=True
        )
        self._unwanted = self._columns_to_clear(classes, path)
        try:
            self.proof = prove(engine, self._processing, path.name)
        except EngineRunError as error:
            why = f"model {path.name}: cannot run the two test pictures: {error}"
            raise EngineLoadError(why) from error

    def _columns_to_clear(self, classes: Sequence[str] | None, path: Path) -> list[int]:
        unknown = sorted(set(classes or ()) - set(self.labels))
        if unknown:
            known = ", ".join(self.labels)
            raise EngineLoadError(
                f"model {path.name}: no class {', '.join(unknown)}; it knows {known}"
            )
        return [
            i for i, label in enumerate(self.labels) if classes is not None and label not in classes
        ]

    def detect(self, pictures: Sequence[AnyPicture], /) -> list[Detections]:
        """See `detectors.base.Detector.detect`."""
        if not pictures:
            return []
        found: dict[int, Detections] = {}
        for network, places in self._networks.groups(pictures):
            (boxes, scores), transforms = network.run([pictures[place] for place in places])
            with NUMPY_TURN:
                for place, *answer in zip(places, boxes, scores, transforms, strict=True):
                    found[place] = self._finish(*answer)
        return [found[place] for place in range(len(pictures))]

    def warm_up(self, batch_size: int) -> None:
        """Run an empty batch, so that the first real one is as fast as the others. Raises
        `EngineLoadError` when the model cannot run one."""
        try:
            self._networks.warm_up(batch_size)
        except (EngineRunError, ValueError) as error:
            why = f"model {self.name}: cannot run a batch of {batch_size}: {error}"
            raise EngineLoadError(why) from error

    def close(self) -> None:
        """See `detectors.base.Detector.close`."""
        self._networks.close()

    def _finish(self, boxes: F32, scores: F32, transform: Transform) -> Detections:
        if self._unwanted:
            scores[:, self._unwanted] = 0
        xyxy, score, class_id = self._processing.finish(boxes, scores, self._rule)
        return Detections(transform.to_source(xyxy), score, class_id.astype(np.int32))
