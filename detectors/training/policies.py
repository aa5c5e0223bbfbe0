"""How a drawn picture becomes a training sample: our own way, and the published recipes'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from detectors.training.augment import CALM, STRONG, Sample, mosaic, recoloured, warped
from detectors.training.published import COCO, FINETUNE
from pipeline.core.errors import ConfigError


class Policy(Protocol):
    """A way of augmenting for networks that will run at one size."""

    @property
    def keeps_empty(self) -> bool:
        """Whether pictures without a box are drawn, to teach what is background."""
        ...

    def made(
        self,
        first: Sample,
        another: Callable[[], Sample],
        size: int,
        calm: bool,
        rng: np.random.Generator,
    ) -> Sample:
        """`first` as a sample of `size` x `size` pixels, a pure function of its arguments.

        `another` draws a further picture that labels the same classes; `calm` asks for less, where
        the policy knows less.
        """
        ...


class Eyrie:
    """One warp and one colour map, and a mosaic now and then; milder when calm."""

    keeps_empty = True

    def __init__(self, final_px: int) -> None:
        self._strong = replace(STRONG, reference_px=final_px)
        self._calm = replace(CALM, reference_px=final_px)

    def made(
        self,
        first: Sample,
        another: Callable[[], Sample],
        size: int,
        calm: bool,
        rng: np.random.Generator,
    ) -> Sample:
        strength = self._calm if calm else self._strong
        if rng.random() < strength.mosaic:
            four = [first, *(another() for _ in range(3))]
            sample = mosaic(four, size, strength, rng)
        else:
            sample = warped(first, (size, size), strength, rng)
        image = recoloured(sample.image, strength.colour, rng)
        return Sample(image, sample.xyxy, sample.class_id)


POLICIES: Mapping[str, Callable[[int], Policy]] = {
    "eyrie": Eyrie,
    "coco": lambda _: COCO,
    "finetune": lambda _: FINETUNE,
}


def policy_of(name: str, final_px: int) -> Policy:
    """A policy by name, for networks that will run at so many pixels.

    Raises `ConfigError` that lists the names.
    """
    if name not in POLICIES:
        raise ConfigError("", f"policy {name!r} is none of {', '.join(sorted(POLICIES))}")
    return POLICIES[name](final_px)
