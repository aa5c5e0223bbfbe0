"""The dwell grid: the seconds that tracks were in each cell."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.core.arrays import F64
from sinks.tracks.sightings import Coordinates, MessagePart

_LONGEST_STEP_NS: Final = 10_000_000_000
_MARGIN_CELLS: Final = 32
MOST_CELLS: Final = 4_000_000


@dataclass(slots=True)
class _Clock:
    """The last sighting of each track of one stream, in its epoch."""

    epoch: int
    last_ns: dict[str, int]
    swept_ns: int


class DwellGrid:
    """Seconds of media time that tracks were seen in each cell.

    The time between two sightings of a track belongs to the cell of the later one; more than ten
    seconds are a gap and belong to none. Cells are squares of `cell` pixels or metres, and counted
    from (0, 0) of the picture or the plane. A grid of a picture has the size of the first one;
    later ones of another size are scaled to it. That of a plane grows with what is seen, up to
    `MOST_CELLS`.
    """

    def __init__(self, coordinates: Coordinates, cell: float) -> None:
        self.coordinates, self.cell = coordinates, cell
        self.size: tuple[int, int] | None = None
        """Width and height of the picture; None before the first one."""
        self.first = (0, 0)
        """Column and row of the cell `seconds[0, 0]`."""
        self.seconds: F64 = np.zeros((0, 0))
        self.outside_s = 0.0
        """Time in places that would have made the grid too large."""
        self._clocks: dict[str, _Clock] = {}

    def add(self, message: MessagePart) -> None:
        """The next message of kind frame of a stream."""
        if self.size is None:
            self.size = (message.width, message.height)
            if self.coordinates == "picture":
                self._cover(0, 0, *(math.ceil(side / self.cell) - 1 for side in self.size))
        clock = self._clock_of(message)
        for uid, found in message.tracked:
            last_ns = clock.last_ns.get(uid, message.pts_ns)
            clock.last_ns[uid] = message.pts_ns
            step_ns = message.pts_ns - last_ns
            place = found.place(self.coordinates)
            if place is not None and 0 < step_ns <= _LONGEST_STEP_NS:
                self._stay(*self._scaled(place, message), step_ns / 1e9)

    def end(self, stream_id: str) -> None:
        """End a stream, of which nothing more comes."""
        self._clocks.pop(stream_id, None)

    def _clock_of(self, message: MessagePart) -> _Clock:
        clock = self._clocks.get(message.stream_id)
        if clock is None or clock.epoch != message.epoch or message.pts_ns < clock.swept_ns:
            clock = self._clocks[message.stream_id] = _Clock(message.epoch, {}, message.pts_ns)
        if message.pts_ns - clock.swept_ns > _LONGEST_STEP_NS:
            clock.swept_ns = message.pts_ns
            least_ns = message.pts_ns - _LONGEST_STEP_NS
            clock.last_ns = {uid: ns for uid, ns in clock.last_ns.items() if ns >= least_ns}
        return clock

    def _scaled(self, place: tuple[float, float], message: MessagePart) -> tuple[float, float]:
        if self.coordinates != "picture" or self.size is None:
            return place
        width, height = self.size
        x = place[0] / message.width * width
        y = place[1] / message.height * height
        return min(max(x, 0), width - 1), min(max(y, 0), height - 1)

    def _stay(self, x: float, y: float, step_s: float) -> None:
        column, row = math.floor(x / self.cell), math.floor(y / self.cell)
        if self._cover(column, row, column, row):
            self.seconds[row - self.first[1], column - self.first[0]] += step_s
        else:
            self.outside_s += step_s

    def _cover(self, left: int, top: int, right: int, bottom: int) -> bool:
        """Make the grid hold these cells; whether it does."""
        rows, columns = self.seconds.shape
        x, y = self.first
        if left >= x and top >= y and right < x + columns and bottom < y + rows:
            return True
        if not self.seconds.size:
            x, y = left, top
        margin = 0 if self.coordinates == "picture" else _MARGIN_CELLS
        new_x = left - margin if left < x else x
        new_y = top - margin if top < y else y
        new_right = max(x + columns, right + 1 + margin if right >= x + columns else 0)
        new_bottom = max(y + rows, bottom + 1 + margin if bottom >= y + rows else 0)
        if (new_right - new_x) * (new_bottom - new_y) > MOST_CELLS:
            return False
        grown = np.zeros((new_bottom - new_y, new_right - new_x))
        grown[y - new_y : y - new_y + rows, x - new_x : x - new_x + columns] = self.seconds
        self.seconds, self.first = grown, (new_x, new_y)
        return True

    def trimmed(self) -> "tuple[F64, tuple[int, int]]":
        """The cells to be shown, and column and row of the first: of a picture all, of a plane
        those around what was seen."""
        if self.coordinates == "picture" or not self.seconds.any():
            return self.seconds, self.first
        rows, columns = (np.flatnonzero(self.seconds.any(axis=axis)) for axis in (1, 0))
        top, left = int(rows[0]), int(columns[0])
        cells = self.seconds[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
        return cells, (self.first[0] + left, self.first[1] + top)
