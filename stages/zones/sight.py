"""The tracks that are seen in a frame, and the place of their memory: a column for each track that
lives, in the tables of every rule."""

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
    """The time of a frame: media time, by which all is measured, and capture time in UTC."""

    pts_ns: int
    captured_ns: int

    def captured_at(self, pts_ns: int) -> int:
        """The capture time, UTC in ns, of a media time near this frame."""
        return self.captured_ns + pts_ns - self.pts_ns


def pairs(mask: Bool) -> tuple[I64, I64]:
    """The rows and columns of what is true in a mask (N, M), column by column: in a third of the
    time of `numpy.nonzero` where that is little, and the mask is one of `Table.of`."""
    columns, rows = np.divmod(mask.T.reshape(-1).nonzero()[0], max(len(mask), 1))
    return rows, columns


@dataclass(frozen=True, slots=True)
class Sight:
    """The T tracks that are truly seen in one frame.

    - `columns` (T,): of their memory. `fresh` (T,): those that were not seen before.
    - `class_id` (T,), `height_px` (T,) of their boxes.
    - `points` (2, A, T): x and y of every anchor.

    Arrays of N rules and these tracks are (N, T). In memory the rules of one track lie side by
    side, as in `Table`, so that a frame reads and writes a run of bytes for each of its tracks.
    """

    columns: I64
    fresh: Bool
    class_id: I32
    height_px: F64
    points: F64
    now_ns: int

    def at(self, rows: I64, tracks: I64) -> F64:
        """The points of (P,) rows of anchors and places of tracks: (2, P) x and y in pixels."""
        count = len(self.columns)
        found: F64 = self.points.reshape(2, -1).take(rows * count + tracks, axis=1)
        return found


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
        """Pick the tracks that are seen, with their boxes (T, 4): only predicted ones, and ids
        below 1, which are no identity, are not. Each track that is new gets an empty column."""
        rows = ((tracks.detection_index >= 0) & (tracks.track_id >= 1)).nonzero()[0]
        track_ids, known = tracks.track_id[rows].tolist(), self._by_id
        columns = [known.get(track_id, -1) for track_id in track_ids]
        is_fresh = np.zeros(len(columns), np.bool_)
        if -1 in columns:
            for place, column in enumerate(columns):
                if column == -1:
                    is_fresh[place], columns[place] = True, self._take(track_ids[place])
        xyxy = tracks.xyxy[rows].astype(np.float64)
        height_px, points = xyxy[:, 3] - xyxy[:, 1], self._anchors.points(xyxy)
        where = np.array(columns, np.int64)
        return Sight(where, is_fresh, tracks.class_id[rows], height_px, points, now_ns), xyxy

    def remember(self, sight: Sight, xyxy: F64) -> None:
        """Store what is known of the tracks seen, once every rule has looked at what was known."""
        columns = sight.columns
        self.class_id.now[columns] = sight.class_id
        self.seen_ns.now[columns] = sight.now_ns
        self.xyxy.put(columns, xyxy.T)
        self.points.put(columns, sight.points.reshape(len(self.points.now), -1))

    def point(self, row: int, column: int) -> tuple[float, float]:
        """The last point of an anchor of a track, in pixels."""
        known = self.points.now
        return float(known[row, column]), float(known[len(known) // 2 + row, column])

    def points_of(self, rows: I64, columns: I64) -> F64:
        """The last points of several anchors: (2, P) x and y."""
        known = self.points.now
        half = len(known) // 2
        found: F64 = known[np.array([rows, half + rows]), columns]
        return found

    def columns_of(self, track_ids: Iterable[int]) -> list[int]:
        """The columns of those of these tracks that live."""
        return [self._by_id[i] for i in track_ids if i in self._by_id]

    def free(self, columns: Iterable[int]) -> None:
        """Free these columns, whose tracks are over."""
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
        column = self._by_id[track_id] = self._free.pop()
        self.track_id.now[column] = track_id
        return column


class Table:
    """A table whose last axis is the columns: `now`, until more are needed. What belongs to one
    column lies side by side in memory."""

    __slots__ = ("_by_column", "_empty", "now")

    def __init__(self, rows: int, capacity: int, empty: Any, dtype: type[np.generic]) -> None:
        shape = (capacity, rows) if rows else (capacity,)
        self._by_column: AnyArray = np.full(shape, empty, dtype)
        self.now: AnyArray = self._by_column.T
        self._empty = empty

    def of(self, columns: I64) -> AnyArray:
        """A copy of some columns: (rows, T)."""
        return self._by_column.take(columns, axis=0).T

    def put(self, columns: I64, values: AnyArray) -> None:
        """Write some columns: (rows, T)."""
        self._by_column[columns] = values.T

    @property
    def cells(self) -> AnyArray:
        """All cells, (capacity * rows,) by column * rows + row, for what is read or written here
        and there."""
        return self._by_column.reshape(-1)

    def grow(self, capacity: int) -> None:
        """Add columns, empty ones."""
        old = self._by_column
        self._by_column = np.full((capacity, *old.shape[1:]), self._empty, old.dtype)
        self._by_column[: len(old)] = old
        self.now = self._by_column.T

    def clear(self, column: int) -> None:
        """Empty a column, whose track is over."""
        self._by_column[column] = self._empty
