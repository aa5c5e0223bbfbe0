"""Sinks of heat maps and trajectories out of their sections, with the planes of the streams."""

from collections.abc import Mapping

from pipeline.config import (
    HeatmapSinkConfig,
    PipelineConfig,
    StreamConfig,
    TrajectoriesSinkConfig,
)
from pipeline.core.errors import ConfigError
from pipeline.core.geo import GeoReference
from sinks.base import Sink
from sinks.filter import Filter
from sinks.paths import STREAM_ID

Section = HeatmapSinkConfig | TrajectoriesSinkConfig


def make_tracks_sink(config: PipelineConfig, sink: Section, name: str, key: str) -> Sink:
    """Make the sink of this section, which is `key` of the configuration. Raises `ConfigError`
    where no stream that it hears, or not every one of them, has what its coordinates need."""
    only = sink.only.streams if sink.only is not None else None
    wanted = Filter(streams=only)
    heard = [stream for stream in config.streams if wanted.takes_stream(stream.id)]
    _check(config, sink, heard, key)
    return open_section(sink, name, GeoReferences(geo_references(config.streams)))


def open_section(sink: Section, name: str, globe_of: "GeoReferences") -> Sink:
    """Make the sink of a section that has been checked; nothing is opened."""
    if isinstance(sink, HeatmapSinkConfig):
        from sinks.tracks.heatmap import HeatmapSink

        return HeatmapSink(
            sink.path,
            name,
            coordinates=sink.coordinates,
            cell=sink.cell_size,
            every_s=sink.every_s,
            raw=sink.raw,
            background=sink.background,
        )
    from sinks.tracks.trajectories import TrajectorySink

    return TrajectorySink(
        sink.path,
        name,
        coordinates=sink.coordinates,
        sample_s=sink.sample_s,
        every_s=sink.every_s,
        tracks_per_file=sink.tracks_per_file,
        globe_of=globe_of,
    )


def geo_references(streams: tuple[StreamConfig, ...]) -> dict[str, GeoReference]:
    """The geographic references of the streams that have one, by stream id."""
    given = {s.id: s.plane.geo_reference for s in streams if s.plane is not None}
    return {stream_id: found for stream_id, found in given.items() if found is not None}


class GeoReferences:
    """The geographic reference of a stream: its own, or of the stream of kind `files` that it is a
    file of."""

    def __init__(self, references: Mapping[str, GeoReference]) -> None:
        self._references = references

    def __call__(self, stream_id: str) -> GeoReference | None:
        found = self._references.get(stream_id)
        if found is not None:
            return found
        above = [known for known in self._references if stream_id.startswith(f"{known}-")]
        return self._references[max(above, key=len)] if above else None


def _check(config: PipelineConfig, sink: Section, heard: list[StreamConfig], key: str) -> None:
    if not config.tracking.enabled:
        raise ConfigError(key, f"{sink.kind} is about tracks: set tracking.enabled: true")
    several = len(heard) > 1 or any(stream.source.kind == "files" for stream in heard)
    if sink.coordinates == "picture" and several and STREAM_ID not in sink.path:
        why = f"pictures of several streams have nothing in common: put {STREAM_ID} into it"
        raise ConfigError(f"{key}.path", why)
    if sink.coordinates == "plane" and not any(stream.plane for stream in heard):
        why = "no stream that this sink hears has a plane: give one, or coordinates: picture"
        raise ConfigError(f"{key}.coordinates", why)
    if sink.coordinates == "wgs84":
        known = geo_references(config.streams)
        if unknown := [stream.id for stream in heard if stream.id not in known]:
            why = (
                f"it is not known where on the globe stream {unknown[0]!r} is: give it plane.geo "
                "or points in lat_lon, or name the others in only.streams"
            )
            raise ConfigError(f"{key}.coordinates", why)
