"""How large activations get: a histogram per tensor over calibration pictures, and a clip from it.

The top bits of a float32 are a logarithm: with its sign cleared and 17 bits shifted out, 64 bins
cover each factor of two, so one pass with fixed bins serves tensors of any range.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import onnx

from pipeline.core.arrays import F32, F64, I64

SHIFT = 17
BINS_PER_OCTAVE = 1 << (23 - SHIFT)
BINS = int(np.float32(2.0**20).view(np.uint32) >> SHIFT)
EDGES: F32 = (np.arange(BINS + 1, dtype=np.uint32) << SHIFT).view(np.float32)
CLIP_OCTAVES = 4  # how far below the largest value the best clip is looked for

Method = Literal["mse", "percentile"]


@dataclass(slots=True)
class Histogram:
    """Magnitudes of one tensor; `negative` tells whether any value was below zero."""

    counts: I64 = field(default_factory=lambda: np.zeros(BINS, np.int64))
    negative: bool = False

    def add(self, values: F32) -> None:
        """Count the values of one array of any shape."""
        bins = (values.ravel().view(np.uint32) & 0x7FFFFFFF) >> SHIFT
        self.negative = self.negative or bool((values < 0).any())
        self.counts += np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)

    def clip(self, method: Method, levels: int, percentile: float = 99.99) -> float:
        """The magnitude at which to saturate when `levels` steps reach from zero to it.

        `mse` has the least squared error, rounding and saturation together; `percentile` leaves
        out the largest values.
        """
        last = int(np.flatnonzero(self.counts)[-1])
        if last == 0:
            return 1.0
        if method == "percentile":
            share = np.cumsum(self.counts) / self.counts.sum()
            return float(EDGES[int(np.searchsorted(share, percentile / 100)) + 1])
        first = max(last - CLIP_OCTAVES * BINS_PER_OCTAVE, 0)
        candidates = EDGES[first + 1 : last + 2]
        errors = [self._squared_error(float(clip), levels) for clip in candidates]
        return float(candidates[int(np.argmin(errors))])

    def _squared_error(self, clip: float, levels: int) -> float:
        centres: F64 = (EDGES[:-1].astype(np.float64) + EDGES[1:]) / 2
        rounding = np.minimum((clip / levels) ** 2 / 12, centres**2)
        saturation = np.square(centres - clip)
        return float((self.counts * np.where(centres > clip, saturation, rounding)).sum())


def collect(
    model: onnx.ModelProto, tensors: Iterable[str], inputs: Iterable[F32]
) -> dict[str, Histogram]:
    """Run `inputs`, one batch each, through `model` and count the values of `tensors`."""
    import onnxruntime

    names = list(tensors)
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    kept = {output.name for output in watched.graph.output}
    watched.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in kept
    )
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    histograms = {name: Histogram() for name in names}
    source = session.get_inputs()[0].name
    for batch in inputs:
        for name, values in zip(names, session.run(names, {source: batch}), strict=True):
            histograms[name].add(values)
    return histograms
