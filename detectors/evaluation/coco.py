"""Average precision by pycocotools, the field's own tool, for data with partial labels.

A class is evaluated only on the pictures that label it, so there is one run of the tool for each
class; with full labels that is what one run for all of them gives.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.evaluation.average_precision import Found
from detectors.training.data.dataset import Picture
from pipeline.core.arrays import F64
from pipeline.core.errors import DetectorError

FIGURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
DIGITS = 4

Pair = tuple[Found, Picture]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Average precision of one class, nan where there is no box to be found.

    `ap` is over the IoU thresholds 0.50, 0.55 … 0.95, and so are `ap_small` (area below 32² px),
    `ap_medium` and `ap_large` (above 96² px). `boxes`, crowds not among them, are in those of the
    `pictures` that label the class.
    """

    name: str
    boxes: int
    pictures: int
    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float


@dataclass(frozen=True, slots=True)
class Scores:
    """What pycocotools says of a model on a data set, by class."""

    classes: tuple[ClassScore, ...]
    pictures: int

    def mean(self, figure: str) -> float:
        """Mean of one of `FIGURES` over the classes that have it; nan when none has."""
        values = [getattr(score, figure) for score in self.classes]
        known = [value for value in values if not math.isnan(value)]
        return math.fsum(known) / len(known) if known else math.nan

    @property
    def map50(self) -> float:
        """Mean over the classes at IoU 0.5."""
        return self.mean("ap50")

    @property
    def map50_95(self) -> float:
        """Mean over the classes and the IoU thresholds 0.50, 0.55 … 0.95."""
        return self.mean("ap")

    def named(self) -> dict[str, Any]:
        """Rounded figures, ready for JSON; None for nan."""
        return {
            "pictures": self.pictures,
            "mean": {figure: _rounded(self.mean(figure)) for figure in FIGURES},
            "classes": {
                score.name: {
                    "boxes": score.boxes,
                    "pictures": score.pictures,
                    **{figure: _rounded(getattr(score, figure)) for figure in FIGURES},
                }
                for score in self.classes
            },
        }


def score(
    found: Sequence[Found], pictures: Sequence[Picture], class_names: Sequence[str]
) -> Scores:
    """Scores of boxes; `found[i]` belongs to `pictures[i]`, class ids are places in the names.

    Raises `DetectorError` when pycocotools is not installed.
    """
    tool = _tool()
    pairs = list(zip(found, pictures, strict=True))
    with redirect_stdout(io.StringIO()):  # the tool reports its progress there
        scores = [_of_class(tool, pairs, n, name) for n, name in enumerate(class_names)]
    return Scores(tuple(scores), len(pictures))


def _tool() -> Any:
    try:
        from types import SimpleNamespace

        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise DetectorError(
            f"evaluation needs pycocotools ({error}); install it with: pip install 'eyrie[train]'"
        ) from error
    return SimpleNamespace(COCO=COCO, COCOeval=COCOeval)


def _of_class(tool: Any, pairs: Sequence[Pair], class_id: int, name: str) -> ClassScore:
    judged = [pair for pair in pairs if class_id in pair[1].labelled]
    annotations = list(_annotations(judged, class_id))
    boxes = sum(not annotation["iscrowd"] for annotation in annotations)
    if not boxes:
        return ClassScore(name, 0, len(judged), *(math.nan,) * len(FIGURES))
    truth = _made(tool.COCO(), annotations, len(judged))
    said = _made(tool.COCO(), list(_detections(judged, class_id)), len(judged))
    run = tool.COCOeval(truth, said, "bbox")
    run.evaluate()
    run.accumulate()
    precision: F64 = run.eval["precision"][:, :, 0, :, -1]  # IoU, recall, area
    everywhere, small, medium, large = (_mean(precision[:, :, n]) for n in range(4))
    at50, at75 = _mean(precision[0, :, 0]), _mean(precision[5, :, 0])
    return ClassScore(name, boxes, len(judged), everywhere, at50, at75, small, medium, large)


def _mean(precision: F64) -> float:
    """The tool writes -1 where there is no box."""
    known = precision[precision > -1]
    return float(np.mean(known)) if known.size else math.nan


def _made(empty: Any, annotations: list[dict[str, Any]], images: int) -> Any:
    """The tool's data set of one class; images are numbered from 0, annotations from 1, as the tool
    takes 0 for "no match"."""
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    empty.dataset = {
        "images": [{"id": n} for n in range(images)],
        "categories": [{"id": 1}],
        "annotations": annotations,
    }
    empty.createIndex()
    return empty


def _annotations(pairs: Sequence[Pair], class_id: int) -> Iterator[dict[str, Any]]:
    for image, (_, picture) in enumerate(pairs):
        for n in np.flatnonzero(picture.class_id == class_id):
            yield {
                "image_id": image,
                "category_id": 1,
                "bbox": _xywh(picture.xyxy[n]),
                "area": float(picture.area[n]),
                "iscrowd": int(picture.crowd[n]),
            }


def _detections(pairs: Sequence[Pair], class_id: int) -> Iterator[dict[str, Any]]:
    for image, (found, _) in enumerate(pairs):
        for n in np.flatnonzero(found.class_id == class_id):
            box = _xywh(found.xyxy[n])
            yield {
                "image_id": image,
                "category_id": 1,
                "bbox": box,
                "area": box[2] * box[3],
                "score": float(found.score[n]),
            }


def _xywh(xyxy: Any) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    return [x1, y1, x2 - x1, y2 - y1]


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, DIGITS)
