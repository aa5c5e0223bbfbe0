"""Sets of whole numbers that are mostly runs: their size is the number of runs."""

from bisect import bisect_left, bisect_right


class Intervals:
    """Numbers as runs, each from first to last, both included, with a hole between two."""

    __slots__ = ("_firsts", "_lasts", "total")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self.total = 0
        """The count of numbers in the set."""

    def __len__(self) -> int:
        """The count of runs, not of numbers."""
        return len(self._firsts)

    def __contains__(self, number: int) -> bool:
        lasts = self._lasts
        if not lasts or number > lasts[-1]:
            return False
        place = bisect_left(lasts, number)
        return self._firsts[place] <= number

    @property
    def highest(self) -> int | None:
        """The highest number; None when empty."""
        return self._lasts[-1] if self._lasts else None

    def add(self, first: int, last: int) -> int:
        """Put in `first` to `last` -> how many of them are new."""
        firsts, lasts = self._firsts, self._lasts
        if lasts and first == lasts[-1] + 1:
            lasts[-1] = last
            self.total += last - first + 1
            return last - first + 1
        low = bisect_left(lasts, first - 1)
        high = bisect_right(firsts, last + 1)
        known = 0
        for place in range(low, high):
            known += max(0, min(last, lasts[place]) - max(first, firsts[place]) + 1)
        if low < high:
            first_all, last_all = min(first, firsts[low]), max(last, lasts[high - 1])
        else:
            first_all, last_all = first, last
        firsts[low:high] = [first_all]
        lasts[low:high] = [last_all]
        self.total += last - first + 1 - known
        return last - first + 1 - known

    def holes(self, first: int, last: int) -> list[tuple[int, int]]:
        """The runs of `first` to `last` that are not in it."""
        found = []
        for place in range(bisect_left(self._lasts, first), len(self._firsts)):
            if self._firsts[place] > last:
                break
            if first < self._firsts[place]:
                found.append((first, self._firsts[place] - 1))
            first = self._lasts[place] + 1
        if first <= last:
            found.append((first, last))
        return found

    def forget(self, most: int) -> None:
        """Forget all but that many runs, the highest."""
        while len(self._firsts) > most:
            self.total -= self._lasts.pop(0) - self._firsts.pop(0) + 1
