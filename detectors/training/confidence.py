"""What a model's detections are worth as labels: accepted, doubtful, or nothing. No torch here.

Two thresholds, as in pseudo-labelling for semi-supervised detection (Sohn et al., "STAC", arXiv
2005.04757): above the upper one a detection is a label; between the two nobody knows, so the class
is left out of what the picture is said to be labelled for, and training neither teaches nor
punishes it there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.yolo_nas.postprocess import Suppression, suppress
from detectors.yolo_nas.predict.network import Loaded
from pipeline.core.arrays import F32, I64, U8, Bool
from pipeline.core.boxes import iou_matrix
from pipeline.core.errors import ConfigError

AGREEING_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """N detections of one picture: xyxy (N, 4) f32 pixels, score (N,) f32, class_id (N,) i64."""

    xyxy: F32
    score: F32
    class_id: I64


Find = Callable[[U8], Found]
"""A picture (H, W, 3) uint8 RGB -> what is in it, in its pixels, in any order."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a picture may teach: boxes inside it, and the classes of which it shows no others.

    A class that is not in `labelled` may have boxes all the same, of which the model is sure.
    """

    xyxy: F32
    score: F32
    class_id: I64
    labelled: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Which detections become labels.

    Those that score `accept` or more, with no side below `min_side_px`, are accepted. A detection
    that overlaps a better accepted one by more than `same_iou`, of whatever class, is the same
    object. All others that score `discard` or more are doubtful, and so is their class.
    Raises `ConfigError` unless 0 < discard <= accept <= 1.
    """

    accept: float = 0.6
    discard: float = 0.2
    min_side_px: float = 0.0
    same_iou: float = 0.6

    def __post_init__(self) -> None:
        if not 0 < self.discard <= self.accept <= 1:
            raise ConfigError(
                "--discard",
                f"needs 0 < discard <= accept <= 1, got discard {self.discard:g} and accept "
                f"{self.accept:g}",
            )

    def decide(self, found: Found, size: tuple[int, int], wanted: Bool) -> Label:
        """The label of a picture of `size` (height, width); `wanted` (C,) bool: those to teach."""
        xyxy = clipped(found.xyxy, size)
        sides = xyxy[:, 2:] - xyxy[:, :2]
        there = (found.score >= self.discard) & wanted[found.class_id] & (sides > 0).all(1)
        order = np.flatnonzero(there)[np.argsort(-found.score[there], kind="stable")]
        xyxy, score, class_id = xyxy[order], found.score[order], found.class_id[order]
        sure = (score >= self.accept) & (sides[order].min(1) >= self.min_side_px)
        same = (np.triu(iou_matrix(xyxy, xyxy) > self.same_iou, k=1) & sure[:, None]).any(0)
        kept = sure & ~same
        doubtful = np.unique(class_id[~sure & ~same])
        labelled = np.setdiff1d(np.flatnonzero(wanted), doubtful)
        return Label(xyxy[kept], score[kept], class_id[kept], tuple(int(n) for n in labelled))


def clipped(xyxy: F32, size: tuple[int, int]) -> F32:
    """Boxes (N, 4) cut to a picture of (height, width)."""
    height, width = size
    return np.clip(xyxy, 0, np.array([width, height] * 2, np.float32))


def scaled(found: Found, before: Sequence[int], after: Sequence[int]) -> Found:
    """Detections in a picture of shape `before` (height, width, …) made `after`."""
    factor = np.array([after[1] / before[1], after[0] / before[0]] * 2, np.float32)
    return Found(found.xyxy * factor, found.score, found.class_id)


def agreed(found: Found, again: Found, doubt: float) -> Found:
    """Detections of two looks at the same picture as one.

    Two of a class that overlap by `AGREEING_IOU` or more are one with their mean score; what only
    one look shows scores `doubt` at most.
    """
    both = found.class_id[:, None] == again.class_id[None]
    ious = np.where(both, iou_matrix(found.xyxy, again.xyxy), 0)
    pairs = _pairs(ious)
    score, rest = np.minimum(found.score, doubt), np.ones(len(again.score), np.bool_)
    for here, there in pairs:
        score[here] = (found.score[here] + again.score[there]) / 2
        rest[there] = False
    alone = np.minimum(again.score[rest], doubt)
    return Found(
        np.concatenate([found.xyxy, again.xyxy[rest]]),
        np.concatenate([score, alone]).astype(np.float32),
        np.concatenate([found.class_id, again.class_id[rest]]),
    )


def _pairs(ious: F32) -> list[tuple[int, int]]:
    """Rows and columns matched one to one, the greatest overlap first."""
    left, pairs = ious.copy(), []
    while left.size and left.max() >= AGREEING_IOU:
        here, there = divmod(int(left.argmax()), left.shape[1])
        pairs.append((here, there))
        left[here], left[:, there] = 0, 0
    return pairs


def finder(model: Loaded, policy: Policy, *, mirrored: bool = False) -> Find:
    """The model's detections that `policy` does not discard; with `mirrored` it looks a second time
    at the picture's mirror image, and only what both looks show can be accepted."""
    # A class at a time: a car that may be a truck must put both in doubt.
    rule = Suppression(conf=policy.discard, iou=policy.same_iou)

    def look(image: U8) -> Found:
        prepared, transform = model.processing.prepare(image)
        boxes, scores = model.network(prepared[None])
        xyxy, score, class_id = suppress(boxes[0], scores[0], rule)
        return Found(transform.to_source(xyxy), score, class_id)

    def look_twice(image: U8) -> Found:
        again = look(np.ascontiguousarray(image[:, ::-1]))
        left, top, right, bottom = again.xyxy.T
        width = np.float32(image.shape[1])
        turned = np.stack([width - right, top, width - left, bottom], 1)
        return agreed(look(image), Found(turned, again.score, again.class_id), policy.discard)

    return look_twice if mirrored else look
