"""Streams, sources, trackers, planes and the producer of a run out of its configuration.

Clients and decoders are imported when a configuration asks for them, so that a run loads only what
it uses.
"""

import hashlib
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pipeline
from detectors.base import Detector
from pipeline.build import sources as open_source
from pipeline.config import (
    LONGEST_ID,
    FileSourceConfig,
    FolderSourceConfig,
    HeatmapSinkConfig,
    ImagesSourceConfig,
    JsonLinesSinkConfig,
    ParquetSinkConfig,
    PipelineConfig,
    SinkConfig,
    StreamConfig,
    TrackingConfig,
    TrajectoriesSinkConfig,
    VideoSinkConfig,
    WatchSourceConfig,
)
from pipeline.core.clock import Clock, utc_datetime
from pipeline.core.errors import ConfigError
from pipeline.core.messages import Model, Producer
from sinks.paths import STREAM_ID, path_for
from stages.base import MakeSource, Source, Tracker

if TYPE_CHECKING:
    from stages.evidence.ring import PacketRing
    from stages.plane import PlaneStage

FEW_CORES, MOST_DECODER_THREADS = 2, 4


def expand_streams(config: PipelineConfig) -> list[StreamConfig]:
    """Complete the streams of a configuration: every `files` source becomes one stream per file,
    and `hwaccel`, `motion_gate` and `decoder_threads` are filled in.

    Raises `ConfigError` when a pattern finds nothing, two streams get one id, or a sink would write
    over a source or another sink's file.
    """
    from stages.sources.find import expand

    streams: list[StreamConfig] = []
    for asked in config.streams:
        stream = asked
        if stream.decodes and stream.hwaccel is None:
            stream = stream.model_copy(update={"hwaccel": config.hwaccel})
        if (gate := config.motion_gate_of(stream)) != stream.motion_gate:
            stream = stream.model_copy(update={"motion_gate": gate})
        if not isinstance(stream.source, FolderSourceConfig):
            streams.append(stream)
            continue
        for found in expand(stream.source.pattern):
            if found.kind != "file":
                raise ConfigError(
                    f"streams.{stream.id}.source.pattern",
                    f"{stream.source.pattern!r} is not a folder or pattern of video files",
                )
            file = FileSourceConfig(
                kind="file", path=Path(found.location), start_time=stream.source.start_time
            )
            streams.append(
                stream.model_copy(update={"id": f"{stream.id}-{found.name}", "source": file})
            )
    _check_ids(streams)
    _check_files(config, streams)
    return _with_decoder_threads(streams, config.parallel_files)


def _with_decoder_threads(streams: list[StreamConfig], at_once: int) -> list[StreamConfig]:
    """Fill in `decoder_threads`: files that are decoded at once share the cores. One thread each is
    the least work and the least memory, and on few cores, which the engine fills, as fast."""
    cores, files = len(os.sched_getaffinity(0)), max(min(len(streams), at_once), 1)
    threads = min(max(cores // files, 1), MOST_DECODER_THREADS) if cores > FEW_CORES else 1
    filled = []
    for stream in streams:
        source = stream.source
        if isinstance(source, FileSourceConfig) and source.decoder_threads is None:
            sized = source.model_copy(update={"decoder_threads": 1 if source.realtime else threads})
            stream = stream.model_copy(update={"source": sized})
        filled.append(stream)
    return filled


def _check_ids(streams: Sequence[StreamConfig]) -> None:
    seen: set[str] = set()
    for stream in streams:
        if len(stream.id) > LONGEST_ID:
            why = f"the id {stream.id!r} is longer than {LONGEST_ID}: give this stream a shorter id"
            raise ConfigError("streams", why)
        if stream.id in seen:
            why = f"two streams get the id {stream.id!r}; kind files makes ids of the form ID-FILE"
            raise ConfigError("streams", why)
        seen.add(stream.id)


def _check_files(config: PipelineConfig, streams: Sequence[StreamConfig]) -> None:
    """Raise `ConfigError` where a sink would write what a source reads or another sink writes."""
    taken = {
        stream.source.path.resolve(): f"stream {stream.id!r} reads"
        for stream in streams
        if isinstance(stream.source, FileSourceConfig | ImagesSourceConfig)
    }
    watched = {s.source.path.resolve() for s in streams if isinstance(s.source, WatchSourceConfig)}
    for place, sink in enumerate(config.sinks):
        name, template = _written(sink)
        key = f"sinks[{place}].{name}"
        if isinstance(sink, VideoSinkConfig) and STREAM_ID not in template and len(streams) > 1:
            raise ConfigError(key, f"a video of several streams needs {STREAM_ID} in its path")
        for path in {path_for(template, stream.id).resolve() for stream in streams if template}:
            if isinstance(sink, VideoSinkConfig) and path.parent in watched:
                raise ConfigError(key, "writes videos into a folder that a stream watches")
            if path in taken:
                why = f"would write over {str(path)!r}, which {taken[path]}: choose another place"
                raise ConfigError(key, why)
            taken[path] = f"sinks[{place}] writes"


def _written(sink: SinkConfig) -> tuple[str, str]:
    """The key that says which files a sink writes, and its value; empty where it writes none."""
    match sink:
        case ParquetSinkConfig():
            return "folder", str(sink.folder)
        case (
            JsonLinesSinkConfig()
            | VideoSinkConfig()
            | HeatmapSinkConfig()
            | TrajectoriesSinkConfig()
        ):
            return "path", sink.path
    return "", ""


def source_maker(
    stream: StreamConfig, clock: Clock, ring: "PacketRing | None" = None
) -> MakeSource:
    """A function that makes the source of a stream, anew for every connection. `ring` keeps its
    packets."""

    def make(epoch: int, first_seq: int) -> Source:
        return open_source.make_source(stream, epoch, first_seq, clock, ring)

    return make if stream.chaos is None else open_source.with_chaos(stream, stream.chaos, make)


def make_tracker(config: TrackingConfig) -> Tracker | None:
    """Make the tracker of one stream; None if tracking is off."""
    from stages.tracking import Tracker as ByteTracker

    if not config.enabled:
        return None
    return ByteTracker(**config.tracker_params)


def make_plane(stream: StreamConfig) -> "PlaneStage | None":
    """Make the plane of one stream, which tells places and speeds of its tracks; None if it has
    none."""
    from stages.plane import PlaneStage

    given = stream.plane
    return None if given is None else PlaneStage(given.calibration, given.params)


def make_producer(
    config: PipelineConfig, detector: Detector, clock: Clock, instance: str | None = None
) -> Producer:
    """The producer of this run's messages, called `instance`, or by host and process id."""
    return Producer(
        instance=instance or f"{socket.gethostname()}:{os.getpid()}",
        version=pipeline.__version__,
        run_id=config.run_id or _run_id(config, clock),
        model=Model(
            name=detector.name,
            sha256=detector.sha256,
            precision=detector.precision,
            engine=detector.engine_name,
        ),
    )


def _run_id(config: PipelineConfig, clock: Clock) -> str:
    """The id of this run: the same for every run over the same files, so that a re-run gives the
    same message ids; new for every run with a live stream, whose frames never come again."""
    # json escapes the bytes of file names that are no text
    pixels = {"evidence": True, "privacy": True}
    left_out: dict[str, Any] = {
        "sinks": True,
        "spool": True,
        "heartbeat_s": True,
        "workers": True,
        "streams": {"__all__": pixels},
        **pixels,
    }
    said = json.dumps(config.model_dump(mode="json", exclude=left_out))
    digest = hashlib.blake2b(said.encode(), digest_size=8).hexdigest()
    if any(stream.endless for stream in config.streams):
        return f"{utc_datetime(clock.utc_ns()):%Y%m%dT%H%M%S.%fZ}-{digest}"
    return digest
