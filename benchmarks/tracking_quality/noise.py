"""A detector's mistakes, made on purpose on true boxes.

Reasoned from how detectors behave, fitted to no recording:

- The score is a logistic function of size and visibility, of a slow drift (pose, light), and of
  noise from frame to frame; below a floor there is no detection: hidden people are missed for
  as long as they are hidden, small ones now and then.
- Boxes tremble with an error that lasts some frames, more where less is visible, and shrink to the
  visible part at times.
- False positives come at places in the world that look like something (again and again), and
  anywhere for a few frames, mostly of low score. Parts of bodies are found beside the whole.
- Non-maximum suppression drops the less certain of two that overlap strongly.
- Classes of vehicles are confused now and then.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F32, F64, I32
from pipeline.core.boxes import iou_matrix
from pipeline.core.detections import Detections
from stages.sources.street.camera import Camera
from stages.sources.street.layout import PERSON
from stages.sources.street.truth import Truth

FLOOR = 0.05
DRIFT, SHRINK, PART, EDGES = 0, 1, 2, slice(3, 7)
LASTS_S = np.array([0.8, 0.6, 0.7, 0.15, 0.15, 0.15, 0.15])


@dataclass(frozen=True, slots=True)
class DetectorNoise:
    """`certain`: logit of a large, wholly visible object's score, and `top` the highest score.
    `half_px`: side at which size costs `size_weight` logits. `hidden_weight`: logits lost when all
    is hidden. `drift`, `flicker`: logits of slow and fast noise. `jitter`: of an edge, as a share
    of the box's side. `false_per_frame`: short-lived false positives; `spots`: places of lasting
    ones. `part_share`: time in which a part of a body is found besides. `confused`: share of
    vehicles with another class."""

    certain: float = 3.6
    top: float = 0.95
    half_px: float = 28.0
    size_weight: float = 2.2
    hidden_weight: float = 6.0
    drift: float = 0.6
    flicker: float = 0.4
    jitter: float = 0.012
    false_per_frame: float = 0.5
    spots: int = 4
    part_share: float = 0.02
    confused: float = 0.01
    nms_iou: float = 0.7


YOLOX_LIKE = DetectorNoise()
"""Confident: most scores near the top, few in between."""
YOLO_NAS_LIKE = DetectorNoise(
    certain=2.2, top=0.93, half_px=30, size_weight=1.6, hidden_weight=4.6, drift=0.8, flicker=0.5,
    jitter=0.014, false_per_frame=1.0, spots=6, part_share=0.035, confused=0.03, nms_iou=0.65,
)  # fmt: skip
"""Scores spread widely, more weak detections."""
FINE = DetectorNoise(half_px=15, jitter=0.014)
"""As YOLOX_LIKE, at a resolution that shows small objects."""
POOR = DetectorNoise(
    certain=1.0, top=0.9, half_px=40, size_weight=1.8, hidden_weight=5.0, drift=1.1, flicker=0.9,
    jitter=0.025, false_per_frame=1.6, spots=8, part_share=0.06, confused=0.08, nms_iou=0.6,
)  # fmt: skip
"""A small network on a dim picture: many misses, scores that say little."""


class NoisyDetector:
    """Detections of one scene, frame after frame; the same seed makes the same mistakes."""

    def __init__(
        self, noise: DetectorNoise, seed: int, fps: float, size: tuple[int, int], identities: int
    ) -> None:
        """`size`: width and height of the picture. `identities`: the highest id, and more."""
        self._noise, self._rng = noise, np.random.default_rng([seed, 21])
        self._size, self._keep = size, np.exp(-1 / (fps * LASTS_S))
        self._state = self._rng.normal(size=(identities + 1, len(LASTS_S)))
        self._bias = self._rng.normal(0, 0.45, identities + 1)
        self._spots = _Spots(self._rng, noise.spots, fps)
        self._short: list[tuple[F64, float, int]] = []

    def detect(self, truth: Truth, camera: Camera) -> Detections:
        """Detections of the next frame, best score first."""
        rng, state = self._rng, self._state
        fresh = rng.normal(size=state.shape) * np.sqrt(1 - self._keep**2)
        state *= self._keep
        state += fresh
        score = self._scores(truth)
        boxes, kinds = self._boxes(truth), self._classes(truth)
        groups = [
            (boxes, score, kinds),
            self._parts(truth, boxes, score, kinds),
            self._spots.boxes(camera),
            self._anywhere(boxes, kinds),
        ]
        return self._suppressed(*(np.concatenate(part) for part in zip(*groups, strict=True)))

    def _scores(self, truth: Truth) -> F64:
        noise, ids = self._noise, truth.track_id
        sides = truth.xyxy[:, 2:] - truth.xyxy[:, :2]
        small = np.log2(np.maximum(np.sqrt(sides[:, 0] * sides[:, 1]), 2) / noise.half_px)
        logit = (
            noise.certain
            - noise.size_weight * np.maximum(1 - small, 0)
            - noise.hidden_weight * (1 - truth.visibility)
            + noise.drift * self._state[ids, DRIFT]
            + self._bias[ids]
            + self._rng.normal(0, noise.flicker, len(ids))
        )
        score: F64 = noise.top / (1 + np.exp(-logit))
        return score

    def _boxes(self, truth: Truth) -> F64:
        state, hidden = self._state[truth.track_id], 1 - truth.visibility
        sides = truth.xyxy[:, 2:] - truth.xyxy[:, :2]
        share = self._noise.jitter * (1 + 3 * hidden)
        error = 0.8 * state[:, EDGES] + 0.6 * self._rng.normal(size=(len(hidden), 4))
        boxes: F64 = truth.xyxy + error * share[:, None] * np.concatenate([sides, sides], axis=1)
        boxes[:, 3] -= np.clip(state[:, SHRINK] - 0.7, 0, 0.9) * hidden * 0.8 * sides[:, 1]
        return boxes

    def _classes(self, truth: Truth) -> I32:
        vehicle = truth.class_id != PERSON
        wrong = vehicle & (self._rng.random(len(truth)) < self._noise.confused)
        return np.where(wrong, self._rng.integers(1, 5, len(truth)), truth.class_id)

    def _parts(self, truth: Truth, boxes: F64, score: F64, kinds: I32) -> tuple[F64, F64, I32]:
        """Upper bodies, or wide boxes around, for as long as a state is high."""
        share = self._noise.part_share
        high = np.sqrt(2 * np.log(1 / share)) * 0.8 if share > 0 else np.inf
        some = np.flatnonzero(self._state[truth.track_id, PART] > high)
        part, sides = boxes[some].copy(), boxes[some, 2:] - boxes[some, :2]
        upper = truth.track_id[some] % 2 == 0
        part[upper, 3] -= 0.45 * sides[upper, 1]
        part[~upper, 2] += 0.45 * sides[~upper, 0]
        return part, score[some] * self._rng.uniform(0.2, 0.7, len(some)), kinds[some]

    def _anywhere(self, boxes: F64, kinds: I32) -> tuple[F64, F64, I32]:
        """False positives for one to four frames, of the sizes that are usual here."""
        rng = self._rng
        self._short = [(box, score, left - 1) for box, score, left in self._short if left > 1]
        for _ in range(int(rng.poisson(self._noise.false_per_frame / 2.5)) if len(boxes) else 0):
            like = boxes[rng.integers(len(boxes))]
            centre = rng.uniform((0, 0.25 * self._size[1]), self._size)
            half = (like[2:] - like[:2]) / 2 * rng.uniform(0.6, 1.5)
            box = np.concatenate([centre - half, centre + half])
            self._short.append((box, FLOOR + float(rng.exponential(0.13)), int(rng.integers(1, 5))))
        count = len(self._short)
        where = np.array([box for box, _, _ in self._short]).reshape(-1, 4)
        score = np.array([score for _, score, _ in self._short]) * rng.uniform(0.7, 1.3, count)
        common = np.bincount(kinds).argmax() if len(kinds) else PERSON
        return where, score, np.full(count, common, np.int32)

    def _suppressed(self, boxes: F64, score: F64, kinds: I32) -> Detections:
        boxes = np.clip(boxes, 0, self._size * 2)
        sound = (score >= FLOOR) & ((boxes[:, 2:] - boxes[:, :2]) > 2).all(axis=1)
        boxes, score, kinds = boxes[sound], np.minimum(score[sound], 0.99), kinds[sound]
        order = np.argsort(-score, kind="stable")
        boxes, score, kinds = boxes[order], score[order], kinds[order]
        close = np.triu(iou_matrix(boxes, boxes) > self._noise.nms_iou, 1)
        close &= kinds[:, None] == kinds[None, :]
        kept = np.ones(len(boxes), np.bool_)
        for first, second in zip(*np.nonzero(close), strict=True):
            kept[second] &= not kept[first]
        xyxy: F32 = boxes[kept].astype(np.float32)
        return Detections(xyxy, score[kept].astype(np.float32), kinds[kept].astype(np.int32))


class _Spots:
    """Places in the world that look like a person at times."""

    def __init__(self, rng: np.random.Generator, count: int, fps: float) -> None:
        self._rng, self._keep = rng, float(np.exp(-1 / (fps * 0.9)))
        self._place = np.column_stack([
            rng.uniform(-9, 9, count), rng.uniform(4, 34, count), rng.uniform(0, 0.8, count),
        ])  # fmt: skip
        self._size = rng.uniform((0.5, 1.2), (0.9, 1.9), (count, 2))
        self._state = rng.normal(size=count)

    def boxes(self, camera: Camera) -> tuple[F64, F64, I32]:
        """Boxes, scores, classes of those that are taken for a person now."""
        rng = self._rng
        fresh = rng.normal(size=len(self._state))
        self._state = self._keep * self._state + np.sqrt(1 - self._keep**2) * fresh
        seen = camera.view(self._place)
        on = np.flatnonzero((self._state > 0.6) & (seen[:, 2] > 2))
        pixels = camera.flatten(seen[on])
        size = self._size[on] * (camera.focal_px / seen[on, 2:])
        low = pixels - size * (0.5, 1.0) + rng.normal(0, 0.03, (len(on), 2)) * size
        score = 0.12 + 0.22 * (self._state[on] - 0.6) + rng.normal(0, 0.05, len(on))
        return np.concatenate([low, low + size], axis=1), score, np.full(len(on), PERSON, np.int32)
