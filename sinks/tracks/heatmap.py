"""The heat map sink: where tracks stay, as pictures and numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import cv2

from pipeline.core.arrays import U8
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import Rejected
from sinks.base import Outgoing
from sinks.paths import path_for
from sinks.tracks.dwell import DwellGrid
from sinks.tracks.files import Files
from sinks.tracks.heat_picture import draw_heat, raw_csv, raw_npy
from sinks.tracks.sightings import Coordinates, read_part, write_whole

Raw = Literal["none", "csv", "npy"]


class HeatmapSink:
    """A `Sink` that adds up how long tracks were where. Streams whose `path` is the same share a
    map.

    Files are written by `flush` once `every_s` have passed, and at the end of a stream, each in one
    step; `close` writes what is new. What was added since is lost when the process is killed. Maps
    begin empty at every start, and replace the files that are there.
    """

    def __init__(
        self,
        path: str,
        name: str = "heatmap",
        *,
        coordinates: Coordinates = "picture",
        cell: float = 16.0,
        every_s: float = 60.0,
        raw: Raw = "none",
        background: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._path, self._coordinates, self._cell = path, coordinates, cell
        self._raw, self._background_path = raw, background
        self._background: U8 | None = None
        self._grids: dict[Path, DwellGrid] = {}
        self._files = Files(name, path, every_s, clock or SystemClock(), self._draw)

    def open(self) -> None:
        """See `Sink.open`. Raises `Rejected` for a background that is no picture."""
        self._files.open()
        if self._background_path is not None:
            self._background = cast(U8 | None, cv2.imread(str(self._background_path)))
            if self._background is None:
                why = f"background {str(self._background_path)!r} is no picture that can be read"
                raise Rejected(self.name, why)

    def write(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            if message.kind not in ("frame", "end_of_stream"):
                continue
            part = read_part(message.body)
            path = path_for(self._path, part.stream_id)
            if message.kind == "frame":
                if path not in self._grids:
                    self._grids[path] = DwellGrid(self._coordinates, self._cell)
                self._grids[path].add(part)
                self._files.changed(path)
            elif path in self._grids:
                self._grids[path].end(part.stream_id)
                self._files.complete(path)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`; a disk is waited for as long as it takes."""
        self._files.flush()

    def close(self) -> None:
        """See `Sink.close`. Raises `SinkUnavailable` where the last files cannot be written."""
        self._files.close()

    def _draw(self, path: Path) -> None:
        grid = self._grids[path]
        write_whole(path, draw_heat(grid, self._background))
        if self._raw == "csv":
            write_whole(path.with_suffix(".csv"), raw_csv(grid))
        elif self._raw == "npy":
            cells, about = raw_npy(grid)
            write_whole(path.with_suffix(".npy"), cells)
            write_whole(path.with_suffix(".json"), about)
