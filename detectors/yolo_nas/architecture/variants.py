"""Widths and depths of each YOLO-NAS variant, as data.

Inputs are 3 x H x W with H and W multiples of 32; strides run from 2 (stem) to 32 (stage 4).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stride-2 block to `out` channels, then a CSP layer of `depth` bottlenecks `hidden` wide."""

    out: int
    depth: int
    hidden: int
    concat_intermediates: bool = False


@dataclass(frozen=True, slots=True)
class NeckSpec:
    """One stage of the neck: `out` channels, `depth` bottlenecks `hidden` wide."""

    out: int
    depth: int
    hidden: int


@dataclass(frozen=True, slots=True)
class Variant:
    """A member of the family.

    `stages` are the four backbone stages at strides 4, 8, 16, 32; `necks` the two up stages (to
    strides 16 and 8) and the two down stages (to 16 and 32); `heads` the tower widths at 8, 16, 32.
    """

    name: str
    stem: int
    stages: tuple[StageSpec, StageSpec, StageSpec, StageSpec]
    necks: tuple[NeckSpec, NeckSpec, NeckSpec, NeckSpec]
    heads: tuple[int, int, int]


YOLO_NAS_N = Variant(
    name="yolo_nas_n",
    stem=16,
    stages=(
        StageSpec(32, 1, 16),
        StageSpec(64, 1, 32),
        StageSpec(128, 2, 64),
        StageSpec(256, 1, 96),
    ),
    necks=(NeckSpec(64, 1, 32), NeckSpec(32, 1, 32), NeckSpec(64, 1, 32), NeckSpec(96, 1, 48)),
    heads=(48, 64, 96),
)

YOLO_NAS_S = Variant(
    name="yolo_nas_s",
    stem=48,
    stages=(
        StageSpec(96, 2, 32),
        StageSpec(192, 3, 64),
        StageSpec(384, 5, 96),
        StageSpec(768, 2, 192),
    ),
    necks=(NeckSpec(192, 2, 64), NeckSpec(96, 2, 48), NeckSpec(192, 2, 64), NeckSpec(384, 2, 64)),
    heads=(64, 128, 256),
)

YOLO_NAS_M = Variant(
    name="yolo_nas_m",
    stem=48,
    stages=(
        StageSpec(96, 2, 64, True),
        StageSpec(192, 3, 128, True),
        StageSpec(384, 5, 256, True),
        StageSpec(768, 2, 384),
    ),
    necks=(
        NeckSpec(192, 2, 192),
        NeckSpec(96, 3, 64),
        NeckSpec(192, 2, 192),
        NeckSpec(384, 3, 256),
    ),
    heads=(96, 192, 384),
)

YOLO_NAS_L = Variant(
    name="yolo_nas_l",
    stem=48,
    stages=(
        StageSpec(96, 2, 96, True),
        StageSpec(192, 3, 128, True),
        StageSpec(384, 5, 256, True),
        StageSpec(768, 2, 512, True),
    ),
    necks=(
        NeckSpec(192, 4, 128),
        NeckSpec(96, 4, 128),
        NeckSpec(192, 4, 128),
        NeckSpec(384, 4, 256),
    ),
    heads=(128, 256, 512),
)

VARIANTS = {v.name: v for v in (YOLO_NAS_N, YOLO_NAS_S, YOLO_NAS_M, YOLO_NAS_L)}


def variant(name: str) -> Variant:
    """The variant called `name`; ValueError names the ones that exist."""
    try:
        return VARIANTS[name]
    except KeyError:
        raise ValueError(
            f"unknown YOLO-NAS variant {name!r}: choose one of {', '.join(VARIANTS)}"
        ) from None
