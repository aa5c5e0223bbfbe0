"""Tallies of what happens at lines and in zones, counted by class for every interval of the
clock."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.core.arrays import I64
from stages.zones.happenings import Tally


@dataclass(slots=True)
class _Page:
    """The counts of all rules with the same interval, for the one that began at `from_ns`."""

    from_ns: int
    number: int
    observed_ns: int = 0
    counts: defaultdict[tuple[int, int], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )
    """[in, out] by place of the rule and class id."""


class Tallies:
    """The counts of several rules; those whose interval is None are not counted. Intervals begin at
    whole multiples of their length since 1970, UTC: of an hour, at each full hour. Where the
    capture time jumps, or nothing is seen for longer, intervals are left out."""

    def __init__(
        self, names: Sequence[str], intervals_ns: Sequence[int | None], *, zones: bool
    ) -> None:
        self._names, self._zones, self._intervals = names, zones, intervals_ns
        self._places: defaultdict[int, list[int]] = defaultdict(list)
        for place, interval_ns in enumerate(intervals_ns):
            if interval_ns is not None:
                self._places[interval_ns].append(place)
        self._pages: dict[int, _Page] = {}
        self._begun: Counter[int] = Counter()
        """Pages so far, by interval."""
        self._peaks: I64 = np.zeros(len(names), np.int64)
        self._last_ns = 0

    def turn(self, captured_ns: int, elapsed_ns: int, inside: I64 | None = None) -> list[Tally]:
        """The next frame, `elapsed_ns` of media time after the last one of its epoch; `inside` says
        how many are in each zone -> what is complete."""
        told: list[Tally] = []
        for interval_ns in self._places:
            from_ns = captured_ns // interval_ns * interval_ns
            page = self._pages.get(interval_ns)
            if page is None or page.from_ns != from_ns:
                if page is not None:
                    told += self._close(interval_ns, page, page.from_ns + interval_ns)
                page = self._pages[interval_ns] = _Page(from_ns, self._begun[interval_ns])
                self._begun[interval_ns] += 1
            page.observed_ns += elapsed_ns
        if inside is not None:
            np.maximum(self._peaks, inside, out=self._peaks)
        self._last_ns = captured_ns
        return told

    def add(self, place: int, class_id: int, *, inward: bool) -> None:
        """Count one more, in the frame of the last `turn`."""
        interval_ns = self._intervals[place]
        if interval_ns is not None and interval_ns in self._pages:
            self._pages[interval_ns].counts[place, class_id][0 if inward else 1] += 1

    def close(self) -> list[Tally]:
        """Tell what there is of intervals that are not complete."""
        told: list[Tally] = []
        for interval_ns, page in self._pages.items():
            told += self._close(interval_ns, page, max(self._last_ns, page.from_ns))
        self._pages.clear()
        return told

    def _close(self, interval_ns: int, page: _Page, to_ns: int) -> Iterator[Tally]:
        for place in self._places[interval_ns]:
            by_class = {
                class_id: (ins, outs)
                for (counted, class_id), (ins, outs) in page.counts.items()
                if counted == place
            }
            peak = int(self._peaks[place]) if self._zones else None
            self._peaks[place] = 0
            yield Tally(
                self._names[place], self._zones, page.number, page.from_ns, to_ns,
                page.observed_ns, by_class, peak,
            )  # fmt: skip
