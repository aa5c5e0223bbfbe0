"""The ways of tracks, point by point, and as features of GeoJSON (RFC 7946)."""

import json
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from pipeline.core.geo import GeoReference
from sinks.tracks.sightings import Coordinates, MessagePart, TrackPart

MOST_POINTS: Final = 1000
_FORGET_NS: Final = 60_000_000_000
_GLOBE_DECIMALS, _DECIMALS = 7, 3


@dataclass(slots=True)
class Way:
    """One track: points with their times, at least a sample apart, and the last one as it is. At
    `MOST_POINTS` every second one goes, and samples are twice as far apart from then on."""

    uid: str
    stream_id: str
    sample_ns: int
    label: str = ""
    last_ns: int = 0
    times: list[str] = field(default_factory=list)
    kept_ns: "array[int]" = field(default_factory=lambda: array("q"))
    places: "array[float]" = field(default_factory=lambda: array("d"))
    speeds: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, found: TrackPart, place: tuple[float, float], pts_ns: int, at: str) -> None:
        """The next sighting: its place at media time `pts_ns`, on the wall clock `at`."""
        count = len(self.kept_ns)
        if count > 1 and self.kept_ns[-1] - self.kept_ns[-2] < self.sample_ns:
            self._drop_last()  # the end so far was no sample
        self.label, self.last_ns = found.label, pts_ns
        self.times.append(at)
        self.kept_ns.append(pts_ns)
        self.places.extend(place)
        speed = None if found.plane is None else found.plane.speed_m_s
        self.speeds.append(np.nan if speed is None else speed)
        if len(self.kept_ns) >= MOST_POINTS:
            self._thin()

    def feature(self, globe: GeoReference | None) -> bytes | None:
        """The way as a GeoJSON feature, in degrees where there is a reference; None: a point is no
        line."""
        if len(self.kept_ns) < 2:
            return None
        points = np.array(self.places).reshape(-1, 2)
        if globe is not None:
            rounded = globe.to_globe(points).round(_GLOBE_DECIMALS)
        else:
            rounded = points.round(_DECIMALS)
        about: dict[str, Any] = {
            "stream_id": self.stream_id,
            "track_uid": self.uid,
            "label": self.label,
            "begins_at": self.times[0],
            "ends_at": self.times[-1],
            "times": self.times,
        }
        if not np.isnan(self.speeds).all():
            about["speed_m_s"] = [None if speed != speed else speed for speed in self.speeds]
        line = {"type": "LineString", "coordinates": rounded.tolist()}
        feature = {"type": "Feature", "id": self.uid, "geometry": line, "properties": about}
        return json.dumps(feature, separators=(",", ":")).encode()

    def _drop_last(self) -> None:
        for column in (self.times, self.kept_ns, self.speeds):
            column.pop()
        del self.places[-2:]

    def _thin(self) -> None:
        self.sample_ns = max(2 * self.sample_ns, 1)
        self.times = self.times[::2]
        self.places = array("d", np.array(self.places).reshape(-1, 2)[::2].ravel())
        self.kept_ns, self.speeds = self.kept_ns[::2], self.speeds[::2]


class Ways:
    """The ways of one stream that are not over. `done` gets each one when it is: at the end of its
    track, its epoch or its stream, or when it was not seen for a minute."""

    def __init__(
        self, coordinates: Coordinates, sample_s: float, done: Callable[[Way], None]
    ) -> None:
        self._coordinates, self._sample_ns, self._done = coordinates, round(sample_s * 1e9), done
        self._epoch = 0
        self.open: dict[str, Way] = {}

    def add(self, message: MessagePart) -> None:
        """The next message of the stream, of any kind."""
        if message.kind == "track_end" and message.track_uid is not None:
            self._end([message.track_uid])
        elif message.kind == "end_of_stream":
            self._end(list(self.open))
        elif message.kind == "frame":
            self._see(message)

    def _see(self, message: MessagePart) -> None:
        if message.epoch != self._epoch:
            self._end(list(self.open))
            self._epoch = message.epoch
        for uid, found in message.tracked:
            place = found.place(self._coordinates)
            if place is None:
                continue
            way = self.open.get(uid)
            if way is None:
                way = self.open[uid] = Way(uid, message.stream_id, self._sample_ns)
            way.add(found, place, message.pts_ns, message.captured_at or "")
        least_ns = message.pts_ns - _FORGET_NS
        self._end([uid for uid, way in self.open.items() if way.last_ns < least_ns])

    def _end(self, uids: list[str]) -> None:
        for uid in uids:
            if (way := self.open.pop(uid, None)) is not None:
                self._done(way)
