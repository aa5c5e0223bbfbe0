"""Which tracks are seen in a frame, and where their memory is: a column for each track that lives,
in the tables of every rule."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeline.core.arrays import F64, I32, I64, AnyArray, Bool
from pipeline.core.tracks import Tracks
from stages.zones.anchors import Anchors

_FIRST_COLUMNS: Final = 64


@dataclass(frozen=True, slots=True)
class Moment:
    """When a frame was: media time, by which all is measured, and capture time in UTC."""

    pts_ns: int
    captured_ns: int

    def captured_at(self, pts_ns: int) -> int:
        """Capture time of a media time near this frame."""
        return self.captured_ns + pts_ns - self.pts_ns


def pairs(mask: Bool) -> tuple[I64, I64]:
    """(N, M) -> rows and columns of what is true, as `numpy.nonzero` finds them, in a third of its
    time where that is little."""
    rows, columns = np.divmod(np.flatnonzero(mask), max(mask.shape[1], 1))
    return rows, columns


@dataclass(frozen=True, slots=True)
class Sight:
    """The T tracks that are truly seen in one frame.

    - `columns` (T,): of their memory. `fresh` (T,): those that were not seen before.
    - `class_id` (T,), `height_px` (T,) of their boxes.
    - `points` (2, A, T): x and y of every anchor.
    """

    columns: I64
    fresh: Bool
    class_id: I32
    height_px: F64
    points: F64
    now_ns: int


class Columns:
    """Columns of the tracks that live, and what was last known of each.

    Tables of `capacity` columns are made by `table` and grow with it. Bounded by the tracks that
    live at once.
    """

    def __init__(self, anchors: Anchors) -> None:
        self.capacity = _FIRST_COLUMNS
        self._anchors = anchors
        self._by_id: dict[int, int] = {}
        self._free = list(range(self.capacity - 1, -1, -1))
        self._tables: list[Table] = []
        self.track_id = self.table(0, 0, np.int64)
        self.class_id = self.table(0, 0, np.int64)
        self.seen_ns = self.table(0, 0, np.int64)
        self.xyxy = self.table(4, 0.0, np.float64)
        self.points = self.table(2 * len(anchors.names), 0.0, np.float64)

    def table(self, rows: int, empty: Any, dtype: type[np.generic]) -> "Table":
        """A table (rows, capacity), or (capacity,) for 0 rows, in which columns of no track are
        `empty`."""
        table = Table(rows, self.capacity, empty, dtype)
        self._tables.append(table)
        return table

    def see(self, tracks: Tracks, now_ns: int) -> tuple[Sight, F64]:
        """Those of the tracks that are seen, and their boxes (T, 4): only predicted ones, and ids
        below 1, which are no identity, are not. Each track that is new gets an empty column."""
        rows = np.flatnonzero((tracks.detection_index >= 0) & (tracks.track_id >= 1))
        track_ids = tracks.track_id[rows]
        known = self._by_id
        columns = np.array([known.get(i, -1) for i in track_ids.tolist()], np.int64)
        fresh: Bool = columns < 0
        for place in np.flatnonzero(fresh).tolist():
            columns[place] = self._take(int(track_ids[place]))
        xyxy = tracks.xyxy[rows].astype(np.float64)
        points = self._anchors.points(xyxy)
        class_id = tracks.class_id[rows]
        sight = Sight(columns, fresh, class_id, xyxy[:, 3] - xyxy[:, 1], points, now_ns)
        self.track_id.now[columns] = track_ids
        return sight, xyxy

    def remember(self, sight: Sight, xyxy: F64) -> None:
        """What is known of the tracks seen, once every rule has looked at what was known."""
        columns = sight.columns
        self.class_id.now[columns] = sight.class_id
        self.seen_ns.now[columns] = sight.now_ns
        self.xyxy.now[:, columns] = xyxy.T
        self.points.now[:, columns] = sight.points.reshape(len(self.points.now), -1)

    def point(self, row: int, column: int) -> tuple[float, float]:
        """Where an anchor of a track was last."""
        known = self.points.now
        return float(known[row, column]), float(known[len(known) // 2 + row, column])

    def points_of(self, rows: I64, columns: I64) -> F64:
        """(P, 2) of several."""
        known = self.points.now
        return np.stack([known[rows, columns], known[len(known) // 2 + rows, columns]], axis=1)

    def columns_of(self, track_ids: Iterable[int]) -> list[int]:
        """Of those that live."""
        return [self._by_id[i] for i in track_ids if i in self._by_id]

    def free(self, columns: Iterable[int]) -> None:
        """Their tracks are over."""
        for column in columns:
            del self._by_id[int(self.track_id.now[column])]
            self._free.append(column)
            for table in self._tables:
                table.clear(column)

    @property
    def live(self) -> list[int]:
        """The columns in use."""
        return list(self._by_id.values())

    def _take(self, track_id: int) -> int:
        if not self._free:
            self._free = list(range(2 * self.capacity - 1, self.capacity - 1, -1))
            self.capacity *= 2
            for table in self._tables:
                table.grow(self.capacity)
        column = self._free.pop()
        self._by_id[track_id] = column
        return column


class Table:
    """An array whose last axis is the columns: `now`, until more are needed."""

    __slots__ = ("_empty", "now")

    def __init__(self, rows: int, capacity: int, empty: Any, dtype: type[np.generic]) -> None:
        shape = (rows, capacity) if rows else (capacity,)
        self.now: AnyArray = np.full(shape, empty, dtype)
        self._empty = empty

    def grow(self, capacity: int) -> None:
        """More columns, empty ones."""
        wider = np.full((*self.now.shape[:-1], capacity), self._empty, self.now.dtype)
        wider[..., : self.now.shape[-1]] = self.now
        self.now = wider

    def clear(self, column: int) -> None:
        """Its track is over."""
        self.now[..., column] = self._empty
