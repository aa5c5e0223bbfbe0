"""The looks of tracks, where the caller gives features of appearance."""

import numpy as np

from pipeline.core.arrays import F32, AnyArray, Bool

_KEEP = np.float32(0.9)  # share of the old look that stays, as usual since DeepSORT's successors
_CLEAR_SCORE = 0.5  # a hidden body looks like the one before it


class Look:
    """Mean features of T tracks, rows as in `TrackTable`. No cost while no features are given.

    `features` (T, D) float32 of unit length, zeros where unknown; D is 0 until features come.
    """

    __slots__ = ("features",)

    def __init__(self) -> None:
        self.features: F32 = np.empty((0, 0), np.float32)

    def add(self, count: int, features: F32 | None) -> None:
        """Append `count` rows, with `features` (count, D) where given."""
        new = np.zeros((count, self.features.shape[1]), np.float32)
        if features is not None:
            self.expect(features.shape[1])
            new = _clean(features)
        self.features = np.concatenate([self.features, new])

    def hit(self, rows: AnyArray | slice, features: F32 | None, score: F32) -> None:
        """Mix the features (K, D) of certain detections into the looks of `rows` (K,)."""
        if features is None:
            return
        self.expect(features.shape[1])
        rows = np.arange(len(self.features))[rows]
        new, old = _clean(features), self.features[rows]
        known = (old != 0).any(axis=1, keepdims=True)
        clear = (new != 0).any(axis=1) & ((score >= _CLEAR_SCORE) | ~known[:, 0])
        mixed = np.where(known, _KEEP * old + (1 - _KEEP) * new, new)
        self.features[rows[clear]] = _clean(mixed)[clear]

    def keep(self, rows: AnyArray) -> None:
        """Keep these rows (mask), forget the others."""
        self.features = self.features[rows]

    def alike(self, features: F32) -> tuple[F32, Bool]:
        """The (T, N) cosines of looks, and (T, N) bool where both are known."""
        self.expect(features.shape[1])
        new = _clean(features)
        known = (self.features != 0).any(axis=1)[:, None] & (new != 0).any(axis=1)
        cosine: F32 = self.features @ new.T
        return cosine, known

    def expect(self, size: int) -> None:
        """Features are of `size` numbers each; raises `ValueError` when others were of another."""
        held = self.features.shape[1]
        if held == 0:
            self.features = np.zeros((len(self.features), size), np.float32)
        elif held != size:
            raise ValueError(f"Tracker: features have {size} numbers each, before {held}")


def _clean(features: F32) -> F32:
    """Rows of unit length; of zeros where they are not finite or have no length."""
    finite = np.isfinite(features).all(axis=1, keepdims=True)
    whole = np.where(finite, features, 0).astype(np.float32, copy=False)
    length = np.sqrt((whole * whole).sum(axis=1, keepdims=True))
    unit: F32 = np.divide(whole, length, out=np.zeros_like(whole), where=length > 1e-6)
    return unit
