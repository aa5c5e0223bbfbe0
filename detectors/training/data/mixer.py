"""Pictures drawn, augmented and stacked: batch number k is a pure function of the seed and k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors.training.augment import Sample
from detectors.training.data.dataset import DataFault, Dataset, Picture
from detectors.training.data.pixels import CACHE_BYTES, PixelCache
from detectors.training.data.read import read_dataset
from detectors.training.policies import policy_of
from detectors.training.schedule import Schedule
from pipeline.core.arrays import F32, F64, I64, U8, AnyArray, Bool
from pipeline.core.errors import ConfigError

RARE_CLASS_SHARE = 0.15  # classes on fewer pictures than this are drawn more often
MOST_CORRUPT, MOST_CORRUPT_SHARE = 10, 0.01


@dataclass(frozen=True, slots=True)
class Folder:
    """A set of pictures (as `read_dataset` takes it) and its share of the draws; None = by its
    number of pictures."""

    path: Path
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> Folder:
        """`PATH` or `PATH:SHARE`; a colon before what is no number belongs to the path.

        Raises `ConfigError` unless the share is above 0 and at most 1.
        """
        path, _, number = text.rpartition(":")
        try:
            share = float(number) if path else None
        except ValueError:
            share = None
        if share is None:
            return cls(Path(text))
        if not 0 < share <= 1:
            raise ConfigError(text, f"the share {number} must be above 0 and at most 1")
        return cls(Path(path), share)


@dataclass(frozen=True, slots=True)
class Batch:
    """Images (B, 3, S, S) u8; G boxes of all of them: `image` (G,) is a place in `images`,
    class_id (G,), xyxy (G, 4) f32 pixels; labelled (B, C) bool. `paths` are the files that went
    into it, to find what made a loss go wrong."""

    index: int
    images: U8
    image: I64
    class_id: I64
    xyxy: F32
    labelled: Bool
    paths: tuple[Path, ...] = ()


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
    """The train splits of `folders`, and batches of them as the schedule wants them.

    Every sample has a generator of its own, from the seed, the batch's number and its place in the
    batch; of each batch of `batch` samples, process `rank` of `world` makes the places `rank`,
    `rank + world`, … alone. So batch k is the same samples however many processes share it.
    `policy` is one of `detectors.training.policies`; `keep_empty` says whether pictures without a
    box are drawn, by default as the policy has it; `bgr` is the order that the network wants.

    Raises `ConfigError` as `read_dataset` does, and when more than 10 pictures and 1 % of them
    turn out corrupt; fewer are in `faults`, and others are drawn in their place.
    """

    def __init__(
        self,
        folders: Sequence[Folder],
        class_names: Sequence[str],
        batch: int,
        seed: int,
        schedule: Schedule,
        *,
        policy: str = "eyrie",
        keep_empty: bool | None = None,
        bgr: bool = False,
        rank: int = 0,
        world: int = 1,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        if batch % world:
            raise ConfigError("", f"a batch of {batch} cannot be divided among {world} processes")
        self._policy = policy_of(policy, schedule.final_px)
        keeps = self._policy.keeps_empty if keep_empty is None else keep_empty
        sets = [read_dataset(f.path, "train").selected(class_names) for f in folders]
        self.faults = [fault for s in sets for fault in s.faults]
        drawn = [_for_training(s, keeps) for s in sets]
        self._classes = len(class_names)
        shares = draw_weights([len(s) for s in drawn], [f.share for f in folders])
        weights = [rarity(s, self._classes) for s in drawn]
        self._weights = np.concatenate(
            [share * w / w.sum() for share, w in zip(shares, weights, strict=True)]
        )
        self.pictures = [picture for pictures in drawn for picture in pictures]
        self._cache = PixelCache([p.path for p in self.pictures], cache_bytes)
        self._all = _Pool(np.arange(len(self.pictures)), self._weights)
        self._groups = self._by_labelled()
        self._corrupt: set[int] = set()
        self._batch, self._seed, self._schedule, self._bgr = batch, seed, schedule, bgr
        self._places = range(rank, batch, world)

    def batch(self, index: int) -> Batch:
        """This process's part of batch `index`, at the size and strength that the schedule has."""
        seen = index * self._batch
        size, calm = self._schedule.size_at(seen), self._schedule.calm_at(seen)
        made = [self._sample((self._seed, index, place), size, calm) for place in self._places]
        samples = [sample for _, sample in made]
        labelled = np.zeros((len(made), self._classes), np.bool_)
        for row, (drawn, _) in zip(labelled, made, strict=True):
            row[list(self.pictures[drawn[0]].labelled)] = True
        images = np.stack([s.image for s in samples])
        channels = images[..., ::-1] if self._bgr else images
        return Batch(
            index,
            np.ascontiguousarray(channels.transpose(0, 3, 1, 2)),
            np.repeat(np.arange(len(made)), [len(s.xyxy) for s in samples]),
            np.concatenate([s.class_id for s in samples]),
            np.concatenate([s.xyxy for s in samples]),
            labelled,
            tuple(self.pictures[n].path for drawn, _ in made for n in drawn),
        )

    def _sample(self, seed: tuple[int, ...], size: int, calm: bool) -> tuple[list[int], Sample]:
        """The numbers of the pictures in it, the one that was drawn first, and the sample."""
        rng = np.random.default_rng(seed)
        n, first = self._drawn(self._all, rng)
        group = self._groups[self.pictures[n].labelled]
        drawn = [n]

        def another() -> Sample:
            more, sample = self._drawn(group, rng)
            drawn.append(more)
            return sample

        return drawn, self._policy.made(first, another, size, calm, rng)

    def _drawn(self, pool: _Pool, rng: np.random.Generator) -> tuple[int, Sample]:
        """A picture of the pool that can be read; what is corrupt is drawn again."""
        while True:
            n = pool.draw(rng)
            if n in self._corrupt:
                continue
            picture = self.pictures[n]
            try:
                image = self._cache.image(n)
            except ValueError as error:
                self._note_corrupt(n, str(error))
                continue
            return n, Sample(image, picture.xyxy, picture.class_id)

    def _note_corrupt(self, n: int, why: str) -> None:
        self._corrupt.add(n)
        path = self.pictures[n].path
        self.faults.append(DataFault(path, "", why.removeprefix(f"{path}: "), "picture"))
        most = max(MOST_CORRUPT, int(MOST_CORRUPT_SHARE * len(self.pictures)))
        if len(self._corrupt) > min(most, len(self.pictures) - 1):
            raise ConfigError(
                "",
                f"{len(self._corrupt)} of {len(self.pictures)} pictures are corrupt, the last: "
                f"{why}; mend the data, or leave these pictures out",
            )

    def _by_labelled(self) -> dict[tuple[int, ...], _Pool]:
        """Only pictures with the same annotated classes are joined: one mask fits them all."""
        members: dict[tuple[int, ...], list[int]] = {}
        for n, picture in enumerate(self.pictures):
            members.setdefault(picture.labelled, []).append(n)
        return {k: _Pool(np.array(v), self._weights[v]) for k, v in members.items()}


class _Pool:
    """Numbers drawn by weight."""

    def __init__(self, members: AnyArray, weights: F64) -> None:
        self._members = members
        self._upto = np.cumsum(weights) / weights.sum()

    def draw(self, rng: np.random.Generator) -> int:
        place = int(np.searchsorted(self._upto, rng.random(), side="right"))
        return int(self._members[min(place, len(self._members) - 1)])


def _for_training(dataset: Dataset, keep_empty: bool) -> list[Picture]:
    """Its pictures without crowds, and without those that then are empty where they are not kept.

    A picture that labels no class of the network teaches nothing.
    """
    plain = [picture.kept(~picture.crowd) for picture in dataset.pictures if picture.labelled]
    kept = [picture for picture in plain if keep_empty or len(picture.xyxy)]
    if not kept:
        raise ConfigError(str(dataset.location), "has no picture to train on in the split 'train'")
    return kept
