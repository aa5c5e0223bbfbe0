"""Folders of pictures with boxes, and a background process that turns them into batches.

A folder holds `index.jsonl`, one object a line: `image` (path), `split`, `labelled` (classes that
were annotated at all) and `boxes` ([class, x1, y1, x2, y2] in pixels). No torch here.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detectors.training.augment import CALM, STRONG, Sample, mosaic, recoloured, warped
from detectors.training.schedule import Schedule
from pipeline.core.arrays import F32, F64, I64, U8, AnyArray, Bool

RARE_CLASS_SHARE = 0.15  # classes on fewer pictures than this are drawn more often
WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One line of an index: boxes xyxy (N, 4) f32 pixels, class_id (N,) i64."""

    path: Path
    labelled: tuple[int, ...]
    xyxy: F32
    class_id: I64


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of pictures and its share of the draws; None = by its number of pictures."""

    path: Path
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> Folder:
        """`PATH` or `PATH:SHARE`."""
        path, colon, share = text.rpartition(":")
        return cls(Path(path), float(share)) if colon else cls(Path(text))


@dataclass(frozen=True, slots=True)
class Batch:
    """Images (B, 3, S, S) u8 RGB; G boxes of all of them; labelled (B, C) bool."""

    index: int
    images: U8
    image: I64
    class_id: I64
    xyxy: F32
    labelled: Bool


def read_index(folder: Path, split: str) -> list[Picture]:
    """The pictures of one split; OSError when there is no index."""
    pictures = []
    with (folder / "index.jsonl").open() as lines:
        for line in lines:
            row = json.loads(line)
            if row["split"] != split:
                continue
            boxes = np.array(row["boxes"], np.float32).reshape(-1, 5)
            labelled = tuple(sorted(row["labelled"]))
            ids = boxes[:, 0].astype(np.int64)
            pictures.append(Picture(folder / row["image"], labelled, boxes[:, 1:], ids))
    return pictures


def read_image(path: Path) -> U8:
    """The picture as (H, W, 3) uint8 RGB; ValueError when it cannot be decoded."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError(f"{path}: not a readable picture")
    return image  # type: ignore[return-value]


def draw_weights(sizes: Sequence[int], shares: Sequence[float | None]) -> F64:
    """Probability of each folder: given shares are kept, the others divide the rest by size."""
    given = sum(s for s in shares if s is not None)
    free = sum(n for n, s in zip(sizes, shares, strict=True) if s is None)
    if given > 1 or (free == 0 and given <= 0):
        raise ValueError(f"shares of the data folders must add up to at most 1, got {given:g}")
    rest = 1 - given
    weights = [rest * n / free if s is None else s for n, s in zip(sizes, shares, strict=True)]
    return np.array(weights) / sum(weights)


def rarity(pictures: Sequence[Picture], classes: int) -> F64:
    """Relative draw weight per picture, sqrt(share wanted / share there) of its rarest class.

    Repeat-factor sampling after Gupta et al., "LVIS", arXiv 1908.03195.
    """
    there = np.zeros(classes)
    for picture in pictures:
        there[np.unique(picture.class_id)] += 1 / len(pictures)
    factor = np.maximum(1, np.sqrt(RARE_CLASS_SHARE / np.maximum(there, 1e-6)))
    return np.array([factor[p.class_id].max(initial=1.0) for p in pictures])


class Mixer:
    """All pictures decoded in memory; batch number k is a pure function of the seed and k."""

    def __init__(
        self, folders: Sequence[Folder], classes: int, batch: int, seed: int, schedule: Schedule
    ) -> None:
        sets = [read_index(folder.path, "train") for folder in folders]
        shares = draw_weights([len(s) for s in sets], [f.share for f in folders])
        weights = [rarity(s, classes) for s in sets]
        self._weights = np.concatenate(
            [share * w / w.sum() for share, w in zip(shares, weights, strict=True)]
        )
        self._pictures = [picture for pictures in sets for picture in pictures]
        self._images = [read_image(picture.path) for picture in self._pictures]
        self._groups = self._by_labelled()
        self._classes, self._batch, self._seed, self._schedule = classes, batch, seed, schedule

    def batch(self, index: int) -> Batch:
        """Batch number `index`, at the size and strength that the schedule has for it."""
        rng = np.random.default_rng((self._seed, index))
        seen = index * self._batch
        size = self._schedule.size_at(seen)
        calm = self._schedule.calm_at(seen)
        drawn = rng.choice(len(self._pictures), self._batch, p=self._weights)
        samples = [self._sample(int(n), size, calm, rng) for n in drawn]
        labelled = np.zeros((self._batch, self._classes), np.bool_)
        for row, n in zip(labelled, drawn, strict=True):
            row[list(self._pictures[n].labelled)] = True
        images = np.stack([s.image for s in samples]).transpose(0, 3, 1, 2)
        counts = [len(s.xyxy) for s in samples]
        return Batch(
            index,
            np.ascontiguousarray(images),
            np.repeat(np.arange(self._batch), counts),
            np.concatenate([s.class_id for s in samples]),
            np.concatenate([s.xyxy for s in samples]),
            labelled,
        )

    def _sample(self, n: int, size: int, calm: bool, rng: np.random.Generator) -> Sample:
        strength = replace(CALM if calm else STRONG, reference_px=self._schedule.final_px)
        if rng.random() < strength.mosaic:
            members, weights = self._groups[self._pictures[n].labelled]
            others = rng.choice(members, 3, p=weights)
            four = [self._plain(int(m)) for m in (n, *others)]
            made = mosaic(four, size, strength, rng)
        else:
            made = warped(self._plain(n), (size, size), strength, rng)
        return Sample(recoloured(made.image, strength.colour, rng), made.xyxy, made.class_id)

    def _plain(self, n: int) -> Sample:
        return Sample(self._images[n], self._pictures[n].xyxy, self._pictures[n].class_id)

    def _by_labelled(self) -> dict[tuple[int, ...], tuple[AnyArray, AnyArray]]:
        """Mosaics join only pictures with the same annotated classes: one mask fits all four."""
        members: dict[tuple[int, ...], list[int]] = {}
        for n, picture in enumerate(self._pictures):
            members.setdefault(picture.labelled, []).append(n)
        groups = {}
        for labelled, of_group in members.items():
            weights = self._weights[of_group]
            groups[labelled] = (np.array(of_group), weights / weights.sum())
        return groups


class Loader:
    """Batches from `first` on, made ahead by one background process. Close it after use."""

    def __init__(self, *mixer: Any, first: int, ahead: int = 6) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue: Any = context.Queue(ahead)
        self._process = context.Process(
            target=_produce, args=(self._queue, first, mixer), daemon=True, name="batches"
        )
        self._process.start()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            try:
                yield self._queue.get(timeout=WAIT_S)
            except queue.Empty:
                if not self._process.is_alive():
                    raise RuntimeError("the process that makes batches has died") from None

    def close(self) -> None:
        """Stop the process; safe to call twice."""
        self._process.kill()
        self._process.join()


def _produce(batches: Any, first: int, mixer: tuple[Any, ...]) -> None:
    """Fill the queue until the parent kills this process or is gone itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    parent, maker, index = os.getppid(), Mixer(*mixer), first
    while True:
        batch = maker.batch(index)
        index += 1
        while True:
            try:
                batches.put(batch, timeout=WAIT_S)
                break
            except queue.Full:
                if os.getppid() != parent:
                    return
