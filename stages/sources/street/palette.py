"""Colours and how they vary."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from stages.sources.street.camera import F64

Colour = tuple[float, float, float]
T = TypeVar("T")


def pick(rng: np.random.Generator, colours: list[Colour], share: F64 | None = None) -> Colour:
    """One of the colours, varied a little."""
    chance = None if share is None else share / share.sum()
    base = colours[int(rng.choice(len(colours), p=chance))]
    red, green, blue = np.clip(np.array(base) + rng.normal(0, 7, 3), 8, 250).tolist()
    return (red, green, blue)


def one_of(rng: np.random.Generator, choices: Sequence[T], chances: Sequence[float]) -> T:
    """One of the choices, each with its chance; these sum to 1."""
    return choices[int(rng.choice(len(choices), p=chances))]


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, darker below 1 and lighter above."""
    red, green, blue = (min(255.0, part * factor) for part in colour)
    return (red, green, blue)


def mix(colour: Colour, other: Colour, part: float) -> Colour:
    """`part` of the way from one colour to the other, 0..1."""
    red, green, blue = (a * (1 - part) + b * part for a, b in zip(colour, other, strict=True))
    return (red, green, blue)
