"""How long the engine takes for a batch, learned from the batches that it did. No thread in here.

The times are those from the taking of a batch until the engine is done with it, so they have in
them whatever it waits for: the cores, and the batches beside it.
"""

import math
from collections import deque
from statistics import median
from typing import Final

KEPT: Final = 15
"""Times of one batch size."""
WARM_UP: Final = 10
"""The first batches, which say nothing of the others."""
FORGET_S: Final = 30.0
FADE_S: Final = 10.0
"""An observation of that age counts for 1/e of a new one."""
RECENT: Final = 9
"""Batches whose median says how fast the engine is now: five slow ones count, four are a hiccup."""
SPREAD_OF: Final = 200
SURE_AFTER: Final = 30
SPREAD_AT: Final = 0.975
"""Of `SPREAD_OF` batches, this share took no longer than `most_s`."""
SHIFT: Final = 1.25
"""An engine that is so many times slower or faster than it was has changed for every batch size."""
LEAST_SPREAD: Final = 1.1
FIRST_SPREAD: Final = 1.5
"""Until so many batches as `SURE_AFTER` are known."""


class EngineTimes:
    """`expected_s(n)` of a batch of n frames, and `most_s(n)`, which one in forty exceeds.

    The expectation is `pace * (fixed + each * n)`, fixed and each at least 0. The line goes through
    the medians of the last `KEPT` times of each batch size, none older than `FORGET_S` and new ones
    with more weight, by least squares; where one size alone is known, a batch costs as much again
    as one frame of it. `pace` is the median of the last `RECENT` batches over the line: an engine
    that slows down, as a hot one does, is believed after five batches, one slow batch never. What
    is known of sizes that are not in use then changes by the same factor.
    """

    def __init__(self) -> None:
        self._cold = WARM_UP
        self._times: dict[int, deque[tuple[float, float]]] = {}
        self._recent: deque[tuple[float, int, float]] = deque(maxlen=RECENT)
        """(second, frames, time), for any batch size."""
        self._medians: dict[int, float] = {}
        """Of each size, when last learned."""
        self._ratios: deque[float] = deque(maxlen=SPREAD_OF)
        self._fixed_s = self._each_s = 0.0
        self._pace, self._spread = 1.0, FIRST_SPREAD

    @property
    def known(self) -> bool:
        """False until so many batches were noted that a hiccup is none among them."""
        return self._each_s + self._fixed_s > 0

    @property
    def sure(self) -> bool:
        """Whether enough batches were noted to tell their spread."""
        return len(self._ratios) >= SURE_AFTER

    @property
    def spread(self) -> float:
        """`most_s` over `expected_s`."""
        return self._spread

    def note(self, frames: int, took_s: float, now_s: float) -> None:
        """A batch of so many frames took so long. Quick: `learn` does the work."""
        if self._cold > 0:
            self._cold -= 1
            return
        self._recent.append((now_s, frames, took_s))
        times = self._times.setdefault(frames, deque(maxlen=KEPT))
        times.append((now_s, took_s))
        if self.known:
            self._set_pace()
            self._ratios.append(took_s / max(self.expected_s(frames), 1e-9))

    def learn(self, now_s: float) -> None:
        """Make something of what was noted; a few times a second is enough."""
        self._forget(now_s)
        if len(self._recent) < RECENT // 2 + 1 and not self.known:
            return
        self._shift()
        self._fit(now_s)
        self._set_pace()
        if self.sure:
            ordered = sorted(self._ratios)
            self._spread = max(ordered[math.ceil(SPREAD_AT * len(ordered)) - 1], LEAST_SPREAD)

    def expected_s(self, frames: int) -> float:
        """Of a batch of so many frames; 0 as long as nothing is known."""
        return self._pace * self._line_s(frames)

    def most_s(self, frames: int) -> float:
        """The same, with the spread of the last batches."""
        return self._spread * self.expected_s(frames)

    def _line_s(self, frames: int) -> float:
        return self._fixed_s + self._each_s * frames

    def _forget(self, now_s: float) -> None:
        for frames, times in list(self._times.items()):
            while times and now_s - times[0][0] > FORGET_S:
                times.popleft()
            if not times:
                del self._times[frames]

    def _shift(self) -> None:
        """Where the engine has changed for the sizes in use, change what is known of all."""
        known = [(frames, took_s) for _, frames, took_s in self._recent if frames in self._medians]
        if len(known) <= RECENT // 2:
            return
        factor = median(took_s / max(self._medians[frames], 1e-9) for frames, took_s in known)
        if 1 / SHIFT < factor < SHIFT:
            return
        since_s = self._recent[0][0]
        for times in self._times.values():
            for place, (at_s, took_s) in enumerate(times):
                if at_s < since_s:
                    times[place] = (at_s, took_s * factor)

    def _fit(self, now_s: float) -> None:
        """A line by weighted least squares. One pseudo-observation keeps its slope at a frame's
        share of the mean where the sizes do not tell."""
        self._medians = {n: median(s for _, s in times) for n, times in self._times.items()}
        points = []
        for frames, times in self._times.items():
            weight = sum(math.exp(-(now_s - at_s) / FADE_S) for at_s, _ in times)
            points.append((frames, self._medians[frames], weight))
        total = sum(weight for _, _, weight in points)
        if total <= 0:
            return
        mean_n = sum(n * weight for n, _, weight in points) / total
        mean_s = sum(took_s * weight for _, took_s, weight in points) / total
        across = sum((n - mean_n) * (took_s - mean_s) * weight for n, took_s, weight in points)
        along = sum((n - mean_n) ** 2 * weight for n, _, weight in points)
        slope_s = (across + mean_s / (mean_n + 1)) / (along + 1)
        self._each_s = min(max(slope_s, 0.0), mean_s / mean_n)
        self._fixed_s = mean_s - self._each_s * mean_n

    def _set_pace(self) -> None:
        if self._recent and self.known:
            self._pace = median(
                took_s / max(self._line_s(frames), 1e-9) for _, frames, took_s in self._recent
            )
