"""What people look like: bodies, hair, clothes and what they carry."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stages.sources.street.palette import Colour, one_of, pick

SKIN: list[Colour] = [
    (240, 205, 180), (224, 182, 152), (204, 158, 124), (172, 122, 88), (132, 88, 62), (92, 60, 44),
]  # fmt: skip
HAIR: list[Colour] = [
    (28, 22, 20), (52, 36, 26), (92, 62, 38), (150, 110, 60), (196, 164, 108), (120, 116, 112),
    (132, 58, 34),
]  # fmt: skip
TOPS: list[Colour] = [
    (236, 234, 230), (30, 32, 36), (64, 68, 76), (44, 62, 104), (60, 108, 168), (172, 44, 46),
    (204, 96, 48), (226, 182, 60), (62, 112, 78), (120, 132, 84), (128, 72, 116),
    (222, 150, 166), (152, 116, 84), (120, 176, 186), (196, 188, 172), (90, 44, 48),
]  # fmt: skip
BOTTOMS: list[Colour] = [
    (40, 52, 86), (58, 76, 112), (28, 28, 32), (70, 72, 78), (150, 132, 104), (96, 82, 66),
    (112, 136, 168), (58, 66, 52), (206, 200, 188),
]  # fmt: skip
SHOES: list[Colour] = [(28, 26, 26), (230, 228, 224), (92, 62, 42), (60, 60, 66), (180, 48, 44)]


HairStyle = Literal["short", "long", "bun", "bald"]
Legs = Literal["trousers", "shorts", "skirt", "dress", "coat"]
Hat = Literal["none", "cap", "beanie", "helmet"]
Carries = Literal["nothing", "backpack", "handbag", "umbrella"]

HAIR_STYLES: tuple[HairStyle, ...] = ("short", "long", "bun", "bald")
LEGS: tuple[Legs, ...] = ("trousers", "shorts", "skirt", "dress", "coat")
HATS: tuple[Hat, ...] = ("none", "cap", "beanie")
IN_HAND: tuple[Carries, ...] = ("nothing", "backpack", "handbag")


@dataclass(frozen=True, slots=True)
class Look:
    """One person's body and clothes; `stature` in metres, `build` multiplies widths."""

    stature: float
    build: float
    skin: Colour
    hair: Colour
    top: Colour
    bottom: Colour
    shoes: Colour
    hair_style: HairStyle
    sleeves: Literal["short", "long"]
    legs: Legs
    hat: Hat
    carries: Carries
    accent: Colour
    vest: bool


def dress(rng: np.random.Generator, *, rain: bool = False, rider: bool = False) -> Look:
    """A person drawn at random; in the rain half of them carry umbrellas."""
    child = not rider and rng.random() < 0.09
    stature = float(np.clip(rng.normal(1.71, 0.08), 1.5, 1.95)) * (
        float(rng.uniform(0.6, 0.8)) if child else 1.0
    )
    legs = one_of(rng, LEGS, (0.6, 0.13, 0.08, 0.09, 0.1))
    carries = one_of(rng, IN_HAND, (0.55, 0.22, 0.23))
    if rain and rng.random() < 0.5:
        carries = "umbrella"
    hat = one_of(rng, HATS, (0.78, 0.13, 0.09))
    top, bottom = pick(rng, TOPS), pick(rng, BOTTOMS)
    return Look(
        stature=max(stature, 1.62) if rider else stature,
        build=float(np.clip(rng.normal(1.04, 0.1), 0.85, 1.35)),
        skin=pick(rng, SKIN),
        hair=pick(rng, HAIR),
        top=top,
        bottom=bottom,
        shoes=pick(rng, SHOES),
        hair_style=one_of(rng, HAIR_STYLES, (0.5, 0.32, 0.1, 0.08)),
        sleeves="short" if rng.random() < 0.4 and not rain else "long",
        legs="trousers" if rider else legs,
        hat="helmet" if rider else hat,
        carries=("backpack" if carries == "backpack" else "nothing") if rider else carries,
        accent=pick(rng, TOPS),
        vest=bool(rng.random() < 0.03),
    )
