"""The filter of classes of several rules."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from pipeline.core.arrays import I32, Bool


class ClassFilter:
    """Class ids for each of N rules; None: all."""

    def __init__(self, wanted: Sequence[AbstractSet[int] | None]) -> None:
        self._all = all(classes is None for classes in wanted)
        highest = max((max(classes, default=0) for classes in wanted if classes), default=0)
        # the last row stands for every class that no rule names
        self._table = np.zeros((highest + 2, len(wanted)), np.bool_)
        for place, classes in enumerate(wanted):
            self._table[slice(None) if classes is None else list(classes), place] = True

    def take(self, class_id: I32) -> Bool:
        """Match (T,) class ids -> (N, T) bool, or (1, 1) where every rule takes every class."""
        if self._all:
            return np.ones((1, 1), np.bool_)
        taken: Bool = self._table.take(np.minimum(class_id, len(self._table) - 1), axis=0)
        return taken.T

    def takes(self, place: int, class_id: int) -> bool:
        """True if one rule is about one class."""
        return self._all or bool(self._table[min(class_id, len(self._table) - 1), place])
