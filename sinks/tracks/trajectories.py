"""The trajectories sink: the ways of tracks as GeoJSON."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import Rejected
from pipeline.core.geo import GeoReference
from sinks.base import Outgoing
from sinks.paths import path_for
from sinks.tracks.files import Files
from sinks.tracks.sightings import Coordinates, read_part, write_whole
from sinks.tracks.ways import Way, Ways

GlobeOf = Callable[[str], GeoReference | None]
"""A function of a stream's id -> where its plane is on the globe; None: not known."""


@dataclass(slots=True)
class _Collection:
    """What goes into the files of one path: the ways of its streams, and the features that are
    finished and in the file of `number`, counted from 1."""

    number: int = 1
    streams: dict[str, Ways] = field(default_factory=dict)
    features: list[bytes] = field(default_factory=list)
    full: list[tuple[int, list[bytes]]] = field(default_factory=list)


class TrajectorySink:
    """A `Sink` that writes the way of each track as a line: a feature collection by RFC 7946.

    In pictures and planes the coordinates are pixels or metres, and a member `reference` says so;
    `wgs84` are longitude and latitude. A file takes `tracks_per_file` finished tracks; then the
    next one begins, `NAME-2.geojson`. Files are written by `flush` once `every_s` have passed, with
    tracks that go on as they are so far, and at the end of a stream; `close` writes what is new.
    Files that are there are replaced.
    """

    def __init__(
        self,
        path: str,
        name: str = "trajectories",
        *,
        coordinates: Coordinates = "plane",
        sample_s: float = 0.5,
        every_s: float = 60.0,
        tracks_per_file: int = 1000,
        globe_of: GlobeOf = lambda stream_id: None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._path, self._coordinates, self._sample_s = path, coordinates, sample_s
        self._tracks_per_file, self._globe_of = tracks_per_file, globe_of
        self._collections: dict[Path, _Collection] = {}
        self._files = Files(name, path, every_s, clock or SystemClock(), self._write_collection)

    def open(self) -> None:
        """See `Sink.open`."""
        self._files.open()

    def write(self, messages: Sequence[Outgoing]) -> None:
        """See `Sink.write`. Raises `Rejected` for the messages of a stream that is nowhere on the
        globe, if it should be."""
        self._require_globe(messages)  # before any is taken
        for message in messages:
            if message.kind not in ("frame", "track_end", "end_of_stream"):
                continue
            part = read_part(message.body)
            path = path_for(self._path, part.stream_id)
            self._ways_of(path, part.stream_id).add(part)
            self._files.changed(path)
            if part.kind == "end_of_stream" or self._collections[path].full:
                self._files.complete(path)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`; a disk is waited for as long as it takes."""
        self._files.flush()

    def close(self) -> None:
        """See `Sink.close`. Raises `SinkUnavailable` where the last files cannot be written."""
        self._files.close()

    def _ways_of(self, path: Path, stream_id: str) -> Ways:
        collection = self._collections.setdefault(path, _Collection())
        ways = collection.streams.get(stream_id)
        if ways is None:

            def done(way: Way) -> None:
                self._finish(collection, way)

            ways = Ways(self._coordinates, self._sample_s, done)
            collection.streams[stream_id] = ways
        return ways

    def _require_globe(self, messages: Sequence[Outgoing]) -> None:
        if self._coordinates != "wgs84":
            return
        nowhere = {m.key for m in messages if self._globe_of(m.key) is None}
        if nowhere:
            why = (
                f"it is not known where on the globe stream {min(nowhere)!r} is: give the stream "
                "plane.geo or points in lat_lon, or leave it out by only.streams"
            )
            refused = [m.message_id for m in messages if m.key in nowhere]
            raise Rejected(self.name, why, message_ids=refused)

    def _finish(self, collection: _Collection, way: Way) -> None:
        if (feature := self._feature(way)) is None:
            return
        collection.features.append(feature)
        if len(collection.features) >= self._tracks_per_file:
            collection.full.append((collection.number, collection.features))
            collection.number, collection.features = collection.number + 1, []

    def _feature(self, way: Way) -> bytes | None:
        wanted = self._coordinates == "wgs84"
        return way.feature(self._globe_of(way.stream_id) if wanted else None)

    def _write_collection(self, path: Path) -> None:
        collection = self._collections[path]
        while collection.full:
            number, features = collection.full[0]
            write_whole(numbered(path, number), self._encoded(features))
            del collection.full[0]
        write_whole(numbered(path, collection.number), self._encoded(self._now(collection)))

    def _now(self, collection: _Collection) -> list[bytes]:
        open_ways = [way for ways in collection.streams.values() for way in ways.open.values()]
        going = [self._feature(way) for way in open_ways]
        return collection.features + [feature for feature in going if feature is not None]

    def _encoded(self, features: list[bytes]) -> bytes:
        head = b'{"type":"FeatureCollection",'
        if self._coordinates != "wgs84":
            unit = "px" if self._coordinates == "picture" else "m"
            about = {"frame": self._coordinates, "unit": unit}
            head += b'"reference":' + json.dumps(about).encode() + b","
        return head + b'"features":[\n' + b",\n".join(features) + b"\n]}\n"


def numbered(path: Path, number: int) -> Path:
    """The file of that number: the first has no number in its name."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
