"""A model on a data set: what it finds, prepared and suppressed as the model's own processing says,
and the scores of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from detectors.evaluation.average_precision import EVALUATION_RULE, Found
from detectors.evaluation.coco import Scores, score
from detectors.training.data.dataset import DataFault, Dataset, Picture
from detectors.training.data.pixels import read_image
from detectors.yolo_nas.postprocess import Suppression
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32
from pipeline.core.errors import ConfigError

BATCH = 8


class Model(Protocol):
    """What is evaluated, such as a `detectors.yolo_nas.predict.predictor.YoloNAS`."""

    @property
    def processing(self) -> Processing:
        """How pictures become its input, and the names of its classes."""
        ...

    @property
    def network(self) -> Callable[[F32], tuple[F32, F32]]:
        """Images (B, 3, H, W) f32 -> boxes (B, A, 4) xyxy in input pixels, scores (B, A, C)."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores, and the pictures that could not be read and so are not in them."""

    scores: Scores
    faults: tuple[DataFault, ...]


def evaluate_model(
    model: Model,
    dataset: Dataset,
    *,
    rule: Suppression = EVALUATION_RULE,
    batch: int = BATCH,
    done: Callable[[int], object] = lambda _: None,
) -> Evaluation:
    """Scores of a model, by the names of its classes; `done` is told the number of pictures so far.

    Raises `ConfigError` when data and model have no class in common or no picture can be read, and
    `DetectorError` when pycocotools is not installed.
    """
    data = dataset.selected(model.processing.class_names)
    faults: list[DataFault] = []
    pictures: list[Picture] = []
    found: list[Found] = []
    for picture, boxes in find(model, data.pictures, faults, rule=rule, batch=batch):
        pictures.append(picture)
        found.append(boxes)
        done(len(pictures) + len(faults))
    if not pictures:
        raise ConfigError(str(data.location), f"no picture can be read: {faults[0]}")
    return Evaluation(score(found, pictures, data.class_names), tuple(faults))


def find(
    model: Model,
    pictures: Sequence[Picture],
    faults: list[DataFault],
    *,
    rule: Suppression = EVALUATION_RULE,
    batch: int = BATCH,
) -> Iterator[tuple[Picture, Found]]:
    """What a model finds in each picture, in their order, `batch` of them at a time.

    Boxes are in picture pixels and not clipped, as `predict` gives them. What cannot be read is
    left out and told in `faults`.
    """
    for start in range(0, len(pictures), batch):
        some, images = [], []
        for picture in pictures[start : start + batch]:
            try:
                images.append(read_image(picture.path))
            except ValueError as error:
                what = str(error).removeprefix(f"{picture.path}: ")
                faults.append(DataFault(picture.path, "", what, "picture"))
                continue
            some.append(picture)
        if images:
            tensor, ways_back = model.processing.prepare_batch(images)
            outputs = zip(*model.network(tensor), strict=True)
            for picture, way_back, (boxes, scores) in zip(some, ways_back, outputs, strict=True):
                xyxy, value, class_id = model.processing.finish(boxes, scores, rule)
                yield picture, Found(way_back.to_source(xyxy), value, class_id)
