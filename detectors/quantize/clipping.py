"""Four rules for the magnitude at which a tensor saturates, from its histogram.

Grids are symmetric in signed 8 bits: 127 steps from zero to the clip, for tensors that are never
negative as well. No rule goes above the largest value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from detectors.quantize.histogram import Histogram
from pipeline.core.arrays import F64, I64

Method = Literal["max", "percentile", "mse", "entropy"]
METHODS: tuple[Method, ...] = get_args(Method)

STEPS = 127
PERCENTILE = 99.99
SEARCHED_OCTAVES, CLIPS_PER_OCTAVE = 4, 64
ENTROPY_LEVELS = 128
NOTHING_SEEN = 1.0


def clip(histogram: Histogram, method: Method) -> float:
    """The magnitude that becomes 127, above zero; 1 for a tensor that was always zero."""
    if histogram.largest == 0:
        return NOTHING_SEEN
    return min(_RULES[method](histogram), histogram.largest)


def squared_errors(histogram: Histogram, clips: F64) -> F64:
    """For each of `clips` (N,), the squared error of 127 steps up to it, over all counted values:
    rounding and saturation together."""
    filled = np.flatnonzero(histogram.counts)
    edges, counts = histogram.edges, histogram.counts[filled].astype(np.float64)
    centres = (edges[filled] + edges[filled + 1]) / 2
    centres[filled == 0] = 0
    in_steps, rounded = np.empty_like(centres), np.empty_like(centres)
    errors = np.empty(len(clips))
    for n, step in enumerate(clips / STEPS):
        np.divide(centres, step, out=in_steps)
        np.rint(in_steps, out=rounded)
        np.minimum(rounded, STEPS, out=rounded)
        in_steps -= rounded
        in_steps *= in_steps
        in_steps *= counts
        errors[n] = in_steps.sum() * step**2
    return errors


def divergences(counts: I64) -> F64:
    """For the first 128, 129, ... bins of equal width, how much 128 levels over them tell less
    than the bins: the divergence of Kullback and Leibler, in nats; infinite where the last bin
    holds nothing but what saturates.

    After S. Migacz, "8-bit Inference with TensorRT" (GTC 2017): the reference P are the first i
    bins, with all later counts added to the last; Q are 128 levels over these bins without what
    was added, each level spread evenly over its bins that are not empty. What is near zero costs
    nothing at any clip and would outweigh all else after a ReLU, so the first bin counts as much
    as the second.
    """
    bins: F64 = counts.astype(np.float64)
    bins[0] = bins[1]
    ends = np.arange(ENTROPY_LEVELS, len(bins) + 1)
    cuts = -(-np.arange(ENTROPY_LEVELS + 1) * ends[:, None] // ENTROPY_LEVELS)
    kept = np.diff(_running(bins)[cuts])
    filled = np.diff(_running((bins > 0).astype(np.float64))[cuts])
    everything, inside, last = bins.sum(), kept.sum(axis=1), bins[ends - 1]
    saturated = everything - inside
    of_p = _running(_times_log(bins))[ends - 1] + _times_log(last + saturated)
    level = np.log(np.where(kept > 0, kept / np.maximum(filled, 1), 1))
    of_q = (kept * level).sum(axis=1) + saturated * level[:, -1]
    with np.errstate(divide="ignore"):
        found = (of_p - of_q) / everything - np.log(everything) + np.log(inside)
    return np.where((last == 0) & (saturated > 0) | (inside == 0), np.inf, found)


def _by_percentile(histogram: Histogram) -> float:
    share = np.cumsum(histogram.counts) / histogram.counts.sum()
    return float(histogram.edges[int(np.searchsorted(share, PERCENTILE / 100)) + 1])


def _by_mse(histogram: Histogram) -> float:
    octaves = np.arange(SEARCHED_OCTAVES * CLIPS_PER_OCTAVE + 1) / CLIPS_PER_OCTAVE
    clips: F64 = histogram.largest * np.exp2(-octaves)
    return float(clips[int(np.argmin(squared_errors(histogram, clips)))])


def _by_entropy(histogram: Histogram) -> float:
    counts, width = histogram.linear()
    return (ENTROPY_LEVELS + int(np.argmin(divergences(counts)))) * width


_RULES: dict[Method, Callable[[Histogram], float]] = {
    "max": lambda histogram: histogram.largest,
    "percentile": _by_percentile,
    "mse": _by_mse,
    "entropy": _by_entropy,
}


def _running(values: F64) -> F64:
    """Sums of the first 0, 1, 2, ... values."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _times_log(values: F64) -> F64:
    return values * np.log(np.where(values > 0, values, 1))
