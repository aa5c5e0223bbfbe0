"""Pictures that do not change while time goes on."""

from collections import deque
from typing import Final

import numpy as np

from pipeline.core.arrays import U8
from stages.health.finding import Finding

MOST_CHANGED: Final = 0.003
"""Share of sampled values that may differ in pictures that count as the same."""
GROUPS: Final = 4
FIRST_OF_GROUP, LAST_OF_GROUP = 2, 4
MATCH_HOLDS_S: Final = 5.0
"""Coders spend their bits anew at every key frame, so not every picture of a still matches."""
WITHOUT_KEY_FRAMES_S: Final = 60.0


class Frozen:
    """Compares each picture with those from before the last key frame.

    Coders repeat a quiet scene bit by bit until the next key frame, however much the sensor's noise
    changes, so pictures of one group that are the same mean nothing. A key frame is coded anew:
    with noise it never comes out the same, without it, of a still, it soon does. Where no key frame
    comes, a still counts after `WITHOUT_KEY_FRAMES_S`.
    """

    def __init__(self) -> None:
        self._groups: deque[tuple[int, list[U8]]] = deque(maxlen=GROUPS)
        self._matched_s: float | None = None
        self._first: U8 | None = None
        self._first_s = 0.0

    def judge(self, grid: U8, time_s: float, key_frames: int) -> Finding:
        """Judge the next sample; `key_frames` counts those of the connection up to now."""
        before = (old for keys, group in self._groups if keys < key_frames for old in group)
        if any(_same(grid, old) for old in before):
            self._matched_s = time_s
        if self._first is None or not _same(grid, self._first):
            self._first, self._first_s = grid, time_s
        self._remember(grid, key_frames)
        still_s = time_s - self._first_s
        matched = self._matched_s is not None and time_s - self._matched_s <= MATCH_HOLDS_S
        bad = matched or still_s >= WITHOUT_KEY_FRAMES_S
        metrics = {"still_s": round(still_s, 1)}
        return Finding(bad, "pictures repeat themselves bit by bit: the camera is frozen", metrics)

    def reset(self) -> None:
        """Forget what was seen: a new connection begins."""
        self._groups.clear()
        self._matched_s = self._first = None

    def _remember(self, grid: U8, key_frames: int) -> None:
        if not self._groups or self._groups[-1][0] != key_frames:
            self._groups.append((key_frames, []))
        group = self._groups[-1][1]
        group.append(grid)
        if len(group) > FIRST_OF_GROUP + LAST_OF_GROUP:
            del group[FIRST_OF_GROUP]


def _same(grid: U8, other: U8) -> bool:
    if grid.shape != other.shape:
        return False
    return bool(np.count_nonzero(grid != other) <= MOST_CHANGED * grid.size)
