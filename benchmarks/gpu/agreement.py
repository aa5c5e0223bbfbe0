"""Whether an engine says what ONNX Runtime says of the same pictures.

Rounding to 8 bits makes a network chaotic: what differs in the last bit at its beginning differs
visibly at its end. So the measure of an engine is not how far it is from the reference, but
whether it is farther than the reference is from itself when its input changes by a quarter of a
grey level.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from detectors.base import Engine
from detectors.letterbox import Transform
from detectors.yolo_nas.postprocess import Suppression, suppress
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32, U8
from pipeline.core.boxes import iou_matrix
from pipeline.core.detections import Detections
from stages.sources.street.source import StreetSource

PICTURES = 32
LEAST_SCORE = 0.25
SEEN_SCORE = 0.2  # what is a little below the least score may be above it on the other side
LEAST_IOUS = (0.5, 0.75, 0.95)
SIZE_PX = (1280, 720)
NOISE_LEVELS = 0.25
SLACK = 0.02
RAW_SLACK = 1.5
RULE = Suppression(conf=SEEN_SCORE, multi_label=False, class_agnostic=True)

Outputs = list[tuple[F32, F32]]
"""Boxes and scores of each picture."""


def street(count: int = PICTURES) -> list[U8]:
    """Pictures of synthetic streets, one every second."""
    width, height = SIZE_PX
    source = StreetSource("gpu", seed=1, seconds=count, fps=1.0, width=width, height=height)
    return [frame.image for frame in islice(source.frames(), count)]


def compare(
    engine: Engine, reference: Engine, processing: Processing, images: Sequence[U8]
) -> dict[str, Any]:
    """The engine against the reference, and the reference against itself with noise on its input.

    `holds` is whether the former agree as well as the latter, in detections and in raw scores.
    """
    tensor, transforms = processing.prepare_batch(images)
    spread = NOISE_LEVELS / np.array(processing.std, np.float32)[:, None, None]
    noise = np.random.default_rng(0).standard_normal(tensor.shape, np.float32) * spread
    wanted = _outputs(reference, tensor)
    figures = {
        name: _agreement(outputs, wanted, transforms)
        for name, outputs in (
            ("engine", _outputs(engine, tensor)),
            ("reference_with_noise", _outputs(reference, tensor + noise)),
        )
    }
    mine, floor = figures["engine"], figures["reference_with_noise"]
    return {**figures, "holds": as_good(mine, floor)}


def as_good(mine: dict[str, Any], floor: dict[str, Any]) -> bool:
    """Whether an agreement is as good as another one, within the slack."""
    detections = all(
        share is None or share >= (floor["shares"][least] or 0.0) - SLACK
        for least, share in mine["shares"].items()
    )
    return detections and mine["scores_mean_gap"] <= RAW_SLACK * floor["scores_mean_gap"]


def matched(
    found: Sequence[Detections], wanted: Sequence[Detections], least_iou: float
) -> tuple[int, int]:
    """Of the detections of either side that score `LEAST_SCORE` or more: how many there are, and
    how many the other side has too, of the same class, with an IoU of `least_iou` or more."""
    total = agreed = 0
    for mine, theirs in zip(found, wanted, strict=True):
        for some, others in ((mine, theirs), (theirs, mine)):
            sure = some.score >= LEAST_SCORE
            total += int(sure.sum())
            if not (sure.any() and len(others.score)):
                continue
            over = iou_matrix(some.xyxy[sure], others.xyxy) >= least_iou
            over &= some.class_id[sure][:, None] == others.class_id
            agreed += int(over.any(axis=1).sum())
    return total, agreed


def _agreement(found: Outputs, wanted: Outputs, transforms: list[Transform]) -> dict[str, Any]:
    sides = [_detections(found, transforms), _detections(wanted, transforms)]
    counts = {least: matched(sides[0], sides[1], least) for least in LEAST_IOUS}
    gaps = [np.abs(a[1] - b[1]) for a, b in zip(found, wanted, strict=True)]
    return {
        "detections": counts[LEAST_IOUS[0]][0],
        "shares": {
            str(k): round(n / total, 4) if total else None for k, (total, n) in counts.items()
        },
        "scores_mean_gap": float(np.mean([gap.mean() for gap in gaps])),
        "scores_max_gap": float(max(gap.max() for gap in gaps)),
    }


def _outputs(engine: Engine, tensor: F32) -> Outputs:
    size = min(engine.batch_limit or len(tensor), len(tensor))
    found: Outputs = []
    for start in range(0, len(tensor), size):
        boxes, scores = engine.run(tensor[start : start + size])
        found.extend(zip(boxes, scores, strict=True))
    return found


def _detections(outputs: Outputs, transforms: list[Transform]) -> list[Detections]:
    made = []
    for (boxes, scores), transform in zip(outputs, transforms, strict=True):
        xyxy, score, class_id = suppress(boxes, scores, RULE)
        made.append(Detections(transform.to_source(xyxy), score, class_id.astype(np.int32)))
    return made
