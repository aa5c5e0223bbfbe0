"""The time that the engine takes for a batch, learned from the batches that it did. No thread in
here.

The times are those from the taking of a batch until the engine is done with it, so they have in
them whatever it waits for: the cores, and the batches beside it.
"""

import math
from collections import deque
from statistics import median
from typing import Final

KEPT: Final = 15
"""Times that are kept of each batch size."""
WARM_UP: Final = 10
"""Batches that are left out at the start: an engine makes itself ready in them."""
FORGET_S: Final = 30.0
"""The age at which a time is forgotten, for engines change as they heat up."""
FADE_S: Final = 10.0
"""The age at which an observation counts for 1/e of a new one."""
RECENT: Final = 9
"""The batches whose median says how fast the engine is now: five slow ones count, four do not."""
SPREAD_OF: Final = 200
"""The number of last batches from which the spread is told."""
SURE_AFTER: Final = 30
"""The number of batches from which on the spread is told: one in forty needs about as many."""
SPREAD_AT: Final = 0.975
"""The share of the last `SPREAD_OF` batches that took no longer than `most_s`."""
SHIFT: Final = 1.25
"""The factor of slower or faster from which on an engine has changed for every batch size."""
LEAST_SPREAD: Final = 1.1
"""The smallest spread that is believed: a calm minute promises nothing for the next."""
FIRST_SPREAD: Final = 1.5
"""The spread until `SURE_AFTER` batches are known."""


class EngineTimes:
    """The learned time of a batch of n frames: `expected_s(n)`, and `most_s(n)`, which one in forty
    exceeds.

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
        """(second, frames, time in s) of the last batches of any size."""
        self._medians: dict[int, float] = {}
        """The median time in s of each batch size, when last learned."""
        self._ratios: deque[float] = deque(maxlen=SPREAD_OF)
        self._fixed_s = self._each_s = 0.0
        self._pace, self._spread = 1.0, FIRST_SPREAD

    @property
    def known(self) -> bool:
        """True once enough batches were noted that one hiccup does not count."""
        return self._each_s + self._fixed_s > 0

    @property
    def sure(self) -> bool:
        """True once enough batches were noted to tell their spread."""
        return len(self._ratios) >= SURE_AFTER

    @property
    def spread(self) -> float:
        """The ratio of `most_s` to `expected_s`, 1 or more."""
        return self._spread

    def note(self, frames: int, took_s: float, now_s: float) -> None:
        """Note that a batch of so many frames took `took_s`. Quick: `learn` does the work."""
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
        """Fit the times to what was noted; a few times a second is enough."""
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
        """The expected time in s of a batch of so many frames; 0 until something is known."""
        return self._pace * self._line_s(frames)

    def most_s(self, frames: int) -> float:
        """The time in s that one batch of so many frames in forty exceeds."""
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
        """Scale the older times of all sizes where the engine has changed for the sizes in use."""
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
        """Fit a line by weighted least squares. One pseudo-observation keeps its slope at a frame's
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
