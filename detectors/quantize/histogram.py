"""How often a tensor takes which magnitude, counted in one pass and bounded memory.

The top bits of a float32 are a logarithm: with its sign cleared and 13 bits shifted out, 1024 bins
cover each factor of two, so bins need no range known beforehand. Kept are the 16 octaves below the
largest magnitude seen; what is smaller is far below one of 127 steps and counts as zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pipeline.core.arrays import F32, F64, I64

SHIFT = 13
BINS_PER_OCTAVE = 1 << (23 - SHIFT)
OCTAVES = 16
BINS = OCTAVES * BINS_PER_OCTAVE
EXPONENT_BIAS = 127
MAGNITUDE = 0x7FFFFFFF
INFINITE = 0xFF << 23


@dataclass(slots=True)
class Histogram:
    """Magnitudes of one tensor, or of several together.

    `counts` (BINS,) of the octaves that end with `octave`, the largest one's biased exponent;
    the first bin holds all that is smaller. `largest` is exact.
    """

    counts: I64 = field(default_factory=lambda: np.zeros(BINS, np.int64))
    octave: int = OCTAVES
    largest: float = 0.0

    def add(self, values: F32) -> None:
        """Count the values of one array of any shape. Raises ValueError for NaN or infinity."""
        if values.size == 0:
            return
        bits = np.ascontiguousarray(values).ravel().view(np.uint32) & MAGNITUDE
        most = bits.max()
        if most >= INFINITE:
            raise ValueError("holds values that are no finite numbers")
        self._reach(int(most) >> 23)
        first = np.uint32(self._first)
        bins = np.maximum(bits >> SHIFT, first) - first
        self.counts += np.bincount(bins, minlength=BINS)
        self.largest = max(self.largest, float(most.view(np.float32)))

    @classmethod
    def joined(cls, histograms: Iterable[Histogram]) -> Histogram:
        """Make the histogram of all the tensors' values together."""
        total = cls()
        for one in histograms:
            total._reach(one.octave)
            total.counts += one._shifted(total.octave)
            total.largest = max(total.largest, one.largest)
        return total

    @property
    def edges(self) -> F64:
        """(BINS + 1,) magnitudes that bound the bins."""
        octave, step = np.divmod(self._first + np.arange(BINS + 1), BINS_PER_OCTAVE)
        edges: F64 = np.ldexp(1 + step / BINS_PER_OCTAVE, octave - EXPONENT_BIAS)
        edges[0] = 0
        return edges

    def linear(self) -> tuple[I64, float]:
        """Counts in bins of equal width from zero to the largest value, 1024 to 2048 of them, and
        that width: it is the width of the bins of the largest octave, so none is split."""
        width = float(np.ldexp(1 / BINS_PER_OCTAVE, self.octave - EXPONENT_BIAS))
        bins = (self.edges[:-1] / width).astype(np.int64)
        counts = np.bincount(bins, self.counts).astype(np.int64)
        return counts[: int(self.largest / width) + 1], width

    @property
    def _first(self) -> int:
        return (self.octave - OCTAVES + 1) * BINS_PER_OCTAVE

    def _reach(self, octave: int) -> None:
        if octave > self.octave:
            self.counts = self._shifted(octave)
            self.octave = octave

    def _shifted(self, octave: int) -> I64:
        """The counts as they are when a larger octave is the last."""
        shift = min((octave - self.octave) * BINS_PER_OCTAVE, BINS - 1)
        counts = np.zeros(BINS, np.int64)
        counts[: BINS - shift] = self.counts[shift:]
        counts[0] += self.counts[:shift].sum()
        return counts
