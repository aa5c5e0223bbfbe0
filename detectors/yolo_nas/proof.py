"""The check at start: a network proves itself on two pictures before it takes traffic.

A model file holds, in its metadata, what it answered to two bundled pictures when it was made: in
FP32 when it was exported, and in INT8 when it was quantized. An engine that answers otherwise is a
wrong one, such as a plan that was built from other weights, a runtime that computes a form of graph
wrongly, or a file whose weights were damaged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detectors.base import Engine, Precision
from detectors.yolo_nas.preparation import Preparation
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32, I64, U8
from pipeline.core.errors import EngineLoadError
from pipeline.core.log import get_logger

log = get_logger(__name__)

PROOF_KEY = "eyrie.proof"
PICTURES = Path(__file__).resolve().parent / "proof_pictures"
STRIDES_PX = (8, 16, 32)
ANCHORS_A_LEVEL = 12


@dataclass(frozen=True, slots=True)
class Gap:
    """How far answers are apart; of several pictures, the worst.

    - `scores`: mean over the stored anchors of the largest difference of any class.
    - `boxes`: mean over them of 1 - IoU.
    - `elsewhere`: largest difference, of any class, between the best scores of all anchors that are
      not stored: something seen where nothing was.
    """

    scores: float = 0.0
    boxes: float = 0.0
    elsewhere: float = 0.0

    def worst(self, other: Gap) -> Gap:
        """The larger of each."""
        return Gap(*map(max, astuple(self), astuple(other)))

    def above(self, limit: Gap) -> str:
        """What of it is more than `limit`, in words; empty when nothing is. A number that is no
        number is more than any."""
        pairs = ((f.name, getattr(self, f.name), getattr(limit, f.name)) for f in fields(self))
        return ", ".join(
            f"{name} by {value:.3g} (at most {most:g})"
            for name, value, most in pairs
            if not value <= most
        )

    def __str__(self) -> str:
        return f"scores by {self.scores:.2g}, boxes by {self.boxes:.2g}"


LIMITS: dict[tuple[Precision, Precision], Gap] = {
    ("fp32", "fp32"): Gap(0.005, 0.01, 0.01),
    ("fp16", "fp32"): Gap(0.01, 0.03, 0.03),
    ("int8", "int8"): Gap(0.02, 0.03, 0.08),
    ("int8", "fp32"): Gap(0.2, 0.2, 0.25),
}
"""(what an engine runs in, whose answers it is held against) -> the most they may be apart.
docs/int8.md has the measurements behind them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is kept of a network's outputs for one picture: its best anchors on each level.

    `anchors` (K,), `boxes` (K, 4) xyxy in input pixels, `scores` (K, C); `elsewhere` (C,) is the
    best score of each class among all other anchors.
    """

    anchors: I64
    boxes: F32
    scores: F32
    elsewhere: F32

    @classmethod
    def of(cls, boxes: F32, scores: F32, input_size: tuple[int, int]) -> Answer:
        """Boxes (A, 4), scores (A, C) of one picture, and the input's height and width."""
        anchors = np.concatenate(list(_best(scores, input_size)))
        return cls(anchors, boxes[anchors], scores[anchors], _others(scores, anchors))

    def gap(self, boxes: F32, scores: F32) -> Gap:
        """How far another network's outputs for the same picture are from this one's."""
        return Gap(
            float(np.abs(scores[self.anchors] - self.scores).max(axis=1).mean()),
            float(1 - _iou(boxes[self.anchors], self.boxes).mean()),
            float(np.abs(_others(scores, self.anchors) - self.elsewhere).max()),
        )

    def to_json(self) -> dict[str, Any]:
        """Pixels to 2 decimals, scores to 4."""
        boxes, scores, elsewhere = (
            np.round(values.astype(np.float64), digits).tolist()
            for values, digits in ((self.boxes, 2), (self.scores, 4), (self.elsewhere, 4))
        )
        anchors = self.anchors.tolist()
        return {"anchors": anchors, "boxes": boxes, "scores": scores, "elsewhere": elsewhere}

    @classmethod
    def from_json(cls, said: dict[str, Any], anchors: int, classes: int) -> Answer:
        """Raises ValueError, KeyError or TypeError for what does not fit such a network."""
        answer = cls(
            np.asarray(said["anchors"], np.int64),
            *(np.asarray(said[key], np.float32) for key in ("boxes", "scores", "elsewhere")),
        )
        count = len(answer.anchors)
        shapes = (answer.boxes.shape, answer.scores.shape, answer.elsewhere.shape)
        if not count or shapes != ((count, 4), (count, classes), (classes,)):
            raise ValueError(f"its shapes {shapes} do not fit a network of {classes} classes")
        if answer.anchors.min() < 0 or answer.anchors.max() >= anchors:
            raise ValueError(f"it names anchors that a network of {anchors} does not have")
        return answer


@cache
def pictures() -> tuple[U8, ...]:
    """The bundled pictures, (H, W, 3) RGB."""
    found = (np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR)) for path in _files())
    return tuple(np.ascontiguousarray(image[..., ::-1], np.uint8) for image in found)


@cache
def pictures_sha256() -> str:
    """The checksum of the bundled files, one after the other, in hex."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in _files())).hexdigest()


def _files() -> list[Path]:
    return sorted(PICTURES.glob("*.png"))


def answers(engine: Engine, processing: Processing) -> list[tuple[F32, F32]]:
    """Boxes (A, 4) and scores (A, C) for each bundled picture; all at once where the engine takes
    as many. Raises `EngineRunError`."""
    tensor, _ = Preparation(processing, engine.inputs[0]).batch(pictures())
    size = engine.batch_limit or len(tensor)
    found: list[tuple[F32, F32]] = []
    for start in range(0, len(tensor), size):
        boxes, scores = engine.run(tensor[start : start + size])
        found.extend(zip(boxes, scores, strict=True))
    return found


def prove(engine: Engine, processing: Processing, where: str) -> Gap | None:
    """Hold the engine's answers against those in its model file; how far they are apart, or None,
    with a warning, when the file holds none for these pictures.

    Raises `EngineLoadError` with the measured difference when it is too large.
    """
    stored = _stored(engine, processing, where)
    if not stored:
        log.warning(
            "model %s: its answers cannot be checked, for it holds none to the pictures of this "
            "version; eyrie model export or quantize it again", where
        )  # fmt: skip
        return None
    found = answers(engine, processing)
    closest: Gap | None = None
    for reference, wanted in stored.items():
        gap = Gap()
        for answer, outputs in zip(wanted, found, strict=True):
            gap = gap.worst(answer.gap(*outputs))
        wrong = gap.above(LIMITS[engine.precision, reference])
        if wrong:
            raise EngineLoadError(
                f"model {where}: {engine.name} in {engine.precision} answers otherwise than the "
                f"file's own {reference} answers to two test pictures: {wrong}; the file is "
                "damaged, or the engine computes it wrongly: export it again, or take another "
                "engine or precision"
            )
        closest = closest or gap
    log.info("model %s: proved itself on %s; it differs in %s", where, engine.name, closest)
    return closest


def _stored(engine: Engine, processing: Processing, where: str) -> dict[Precision, list[Answer]]:
    """The stored answers that this engine can be held against, closest first."""
    text = engine.metadata.get(PROOF_KEY)
    if text is None:
        return {}
    height, width = processing.input_size
    anchors = sum(count for _, count in _levels((height, width)))
    try:
        said = json.loads(text)
        if said["pictures_sha256"] != pictures_sha256():
            return {}
        return {
            reference: [
                Answer.from_json(one, anchors, len(processing.class_names))
                for one in _as_many(said["answers"][reference])
            ]
            for ran, reference in LIMITS
            if ran == engine.precision and reference in said["answers"]
        }
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EngineLoadError(
            f"model {where}: metadata {PROOF_KEY!r} is damaged: {error!r}; export it again"
        ) from error


def _as_many(said: Any) -> list[Any]:
    if not isinstance(said, list) or len(said) != len(pictures()):
        raise ValueError(f"answers to {len(pictures())} pictures are wanted")
    return said


def proof_of(engine: Engine, processing: Processing) -> str:
    """The metadata value of `PROOF_KEY` with this engine's answers, beside those that the file has
    in other precisions. Raises `EngineRunError`."""
    told: dict[str, Any] = {}
    if PROOF_KEY in engine.metadata:
        before = json.loads(engine.metadata[PROOF_KEY])
        told = before["answers"] if before["pictures_sha256"] == pictures_sha256() else {}
    told[engine.precision] = [
        Answer.of(boxes, scores, processing.input_size).to_json()
        for boxes, scores in answers(engine, processing)
    ]
    said = {"pictures_sha256": pictures_sha256(), "answers": told}
    return json.dumps(said, separators=(",", ":"))


def _levels(input_size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """First anchor and number of anchors of each level."""
    first = 0
    for stride in STRIDES_PX:
        count = (input_size[0] // stride) * (input_size[1] // stride)
        yield first, count
        first += count


def _best(scores: F32, input_size: tuple[int, int]) -> Iterator[I64]:
    """The best anchors of each level, by their best class."""
    best = scores.max(axis=1)
    for first, count in _levels(input_size):
        order = np.argsort(-best[first : first + count], kind="stable")
        yield first + order[:ANCHORS_A_LEVEL].astype(np.int64)


def _others(scores: F32, anchors: Sequence[int] | I64) -> F32:
    """The best score of each class among all anchors but these; 0 where there are no others."""
    others: F32 = np.delete(scores, anchors, axis=0).max(axis=0, initial=0)
    return others


def _iou(a: F32, b: F32) -> F32:
    """(N, 4), (N, 4) -> (N,); 1 for two boxes without area in one place, else 0 without area."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = sides.clip(0).prod(axis=1)
    areas = [(box[:, 2:] - box[:, :2]).clip(0).prod(axis=1) for box in (a, b)]
    union = areas[0] + areas[1] - shared
    same = np.isclose(a, b, atol=0.1).all(axis=1)
    ious: F32 = np.where(union > 0, shared / np.maximum(union, 1e-9), same).astype(np.float32)
    return ious
