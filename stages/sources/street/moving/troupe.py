"""Everything that moves in one scene, as arrays over time."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import F64, I32, I64, AnyArray, Bool
from stages.sources.street.layout import PERSON

PILLAR = -1
"""Class of what hides others and is nothing itself."""


@dataclass(frozen=True, slots=True)
class Troupe:
    """N actors at T moments.

    - `place` (T, N, 2): world x, y in metres. `heading` (T, N): radians, 0 = along +x.
    - `phase` (T, N): of the gait, radians; `stretch` (T, N): height as a share of the full one.
    - `present` (T, N); an actor that is not, is nowhere.
    - `class_id` (N,): of `layout`, or `PILLAR`. `size` (N, 3): length, width, height in metres.
    """

    place: F64
    heading: F64
    phase: F64
    stretch: F64
    present: Bool
    class_id: I32
    size: F64

    @property
    def ident(self) -> I64:
        """(N,) ids from 1 on."""
        return np.arange(1, len(self.class_id) + 1)

    def at(self, moments: F64) -> "Troupe":
        """At other times, given as indices with fractions: places in between are interpolated."""
        low = np.clip(np.floor(moments).astype(int), 0, len(self.place) - 1)
        high = np.minimum(low + 1, len(self.place) - 1)
        part = (moments - low)[:, None]

        def between(values: F64, part: F64 = part) -> F64:
            mixed: F64 = values[low] + (values[high] - values[low]) * part
            return mixed

        return Troupe(
            place=between(self.place, part[..., None]),
            heading=self.heading[low],
            phase=between(self.phase),
            stretch=between(self.stretch),
            present=self.present[low] & self.present[high],
            class_id=self.class_id,
            size=self.size,
        )

    def __add__(self, other: "Troupe") -> "Troupe":
        def both(name: str, axis: int) -> AnyArray:
            return np.concatenate([getattr(self, name), getattr(other, name)], axis=axis)

        over_time = ("place", "heading", "phase", "stretch", "present")
        still = ("class_id", "size")
        return Troupe(**{n: both(n, 1) for n in over_time}, **{n: both(n, 0) for n in still})


def still(place: F64, class_id: int, size: F64, heading: F64, moments: int) -> Troupe:
    """Actors (N, 2), (N, 3) that never move."""
    count = len(place)
    return Troupe(
        place=np.broadcast_to(place, (moments, count, 2)),
        heading=np.broadcast_to(heading, (moments, count)),
        phase=np.zeros((moments, count)),
        stretch=np.ones((moments, count)),
        present=np.ones((moments, count), np.bool_),
        class_id=np.full(count, class_id, np.int32),
        size=size,
    )


def person_sizes(rng: np.random.Generator, count: int, spread_m: float = 0.08) -> F64:
    """(N, 3) metres: depth of the body, shoulders, stature."""
    stature = np.clip(rng.normal(1.71, spread_m, count), 1.4, 2.0)
    build = np.clip(rng.normal(1.04, 0.1, count), 0.85, 1.35)
    return np.stack([0.17 * stature * build, 0.25 * stature * build, stature], axis=1)


def person_classes(count: int) -> I32:
    return np.full(count, PERSON, np.int32)


def gait(place: F64, stature: F64) -> F64:
    """(T, N) phase of the steps that go with (T, N, 2) places."""
    step = np.linalg.norm(np.diff(place, axis=0, prepend=place[:1]), axis=2)
    step[step > 1.0] = 0  # a new place, not a step
    walked: F64 = np.cumsum(step, axis=0) * (2 * np.pi) / (0.84 * stature)
    return walked
