"""The labelled pictures by which forms of one network are judged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from detectors.evaluation.average_precision import EVALUATION_RULE, Found, Truth, evaluate
from detectors.letterbox import Transform
from detectors.training.data import Dataset, PixelCache
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32
from pipeline.core.errors import ConfigError
from pipeline.core.log import get_logger

BATCH = 8

Network = Callable[[F32], tuple[F32, F32]]
"""Images (B, 3, H, W) f32 -> boxes (B, A, 4) xyxy in input pixels, scores (B, A, C)."""

log = get_logger(__name__)


class Validation:
    """`limit` pictures of a data set, evenly spread, decoded once and prepared as `processing`
    says. What cannot be read is left out, with a warning in the log.

    Raises `ConfigError` when data and network have no class in common, when no picture can be
    read, or when none of them has a box.
    """

    def __init__(self, data: Dataset, processing: Processing, limit: int) -> None:
        data = data.selected(processing.class_names).limited(limit)
        self._processing = processing
        self._cache = PixelCache([picture.path for picture in data.pictures])
        self._numbers = [n for n in range(len(data.pictures)) if self._readable(n)]
        self._pictures = data.pictures
        self._classes = len(data.class_names)
        self._truths = [Truth.of(data.pictures[n]) for n in self._numbers]
        if not any(len(truth.class_id) for truth in self._truths):
            raise ConfigError(
                str(data.location),
                f"{len(self._numbers)} pictures can be read to validate on, and none has a box of "
                f"the classes {', '.join(processing.class_names)}",
            )

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def sha256(self) -> str:
        """The checksum of the names and boxes of the pictures, in hex."""
        digest = hashlib.sha256()
        for n in self._numbers:
            picture = self._pictures[n]
            digest.update(f"{picture.path.name} {picture.labelled}".encode())
            digest.update(picture.class_id.tobytes() + picture.xyxy.tobytes())
        return digest.hexdigest()

    def points(self, network: Network) -> float:
        """Average precision over IoU 0.50 to 0.95, mean over the classes, from 0 to 100."""
        found = []
        for images, ways_back in self._batches(self._numbers):
            outputs = zip(*network(images), ways_back, strict=True)
            for boxes, scores, way_back in outputs:
                xyxy, score, class_id = self._processing.finish(boxes, scores, EVALUATION_RULE)
                found.append(Found(way_back.to_source(xyxy), score, class_id))
        return 100 * evaluate(found, self._truths, self._classes).map50_95

    def images(self, count: int) -> list[F32]:
        """`count` of the pictures, evenly spread, or all, as batches of one: (1, 3, H, W)."""
        places = np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int)
        return [
            self._processing.prepare_batch([self._cache.image(self._numbers[n])])[0] for n in places
        ]

    def _batches(self, numbers: list[int]) -> Iterator[tuple[F32, list[Transform]]]:
        for start in range(0, len(numbers), BATCH):
            some = numbers[start : start + BATCH]
            yield self._processing.prepare_batch([self._cache.image(n) for n in some])

    def _readable(self, number: int) -> bool:
        try:
            self._cache.image(number)
        except ValueError as error:
            log.warning("validation: %s; it is left out", error)
            return False
        return True
