"""Configuration to objects, except the detector: the only file that knows all their folders.

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
from pipeline import open_source
from pipeline.config import (
    LONGEST_ID,
    FileSourceConfig,
    FolderSourceConfig,
    HeatmapSinkConfig,
    ImagesSourceConfig,
    JsonLinesSinkConfig,
    PipelineConfig,
    StreamConfig,
    StreetSourceConfig,
    TrackingConfig,
    TrajectoriesSinkConfig,
    VideoSinkConfig,
    WatchSourceConfig,
)
from pipeline.core.clock import Clock, utc_datetime
from pipeline.core.errors import ConfigError
from pipeline.core.messages import Model, Producer
from pipeline.stream import MakeSource
from sinks.paths import STREAM_ID, path_for
from stages.base import Source, Tracker

if TYPE_CHECKING:
    from stages.evidence.ring import PacketRing
    from stages.plane import PlaneStage

MOST_DECODER_THREADS = 4
_WITH_PATH = (JsonLinesSinkConfig, VideoSinkConfig, HeatmapSinkConfig, TrajectoriesSinkConfig)


def expand_streams(config: PipelineConfig) -> list[StreamConfig]:
    """All streams, with every `files` source replaced by one stream per file, and their `hwaccel`,
    `motion_gate` and `decoder_threads` filled in.

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
    """Files that are decoded at once share the cores. One thread each is the least work and the
    least memory."""
    cores, files = len(os.sched_getaffinity(0)), max(min(len(streams), at_once), 1)
    threads = min(max(cores // files, 1), MOST_DECODER_THREADS)
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
    """No sink writes where a source reads or another sink writes."""
    taken = {
        stream.source.path.resolve(): f"stream {stream.id!r} reads"
        for stream in streams
        if isinstance(stream.source, FileSourceConfig | ImagesSourceConfig)
    }
    watched = {s.source.path.resolve() for s in streams if isinstance(s.source, WatchSourceConfig)}
    for place, sink in enumerate(config.sinks):
        if not isinstance(sink, _WITH_PATH) or sink.path == "-":
            continue
        key = f"sinks[{place}].path"
        if isinstance(sink, VideoSinkConfig) and STREAM_ID not in sink.path and len(streams) > 1:
            raise ConfigError(key, f"a video of several streams needs {STREAM_ID} in its path")
        for path in {path_for(sink.path, stream.id).resolve() for stream in streams}:
            if isinstance(sink, VideoSinkConfig) and path.parent in watched:
                raise ConfigError(key, "writes videos into a folder that a stream watches")
            if path in taken:
                why = f"would write over {str(path)!r}, which {taken[path]}: choose another place"
                raise ConfigError(key, why)
            taken[path] = f"sinks[{place}] writes"


def source_maker(
    stream: StreamConfig, clock: Clock, ring: "PacketRing | None" = None
) -> MakeSource:
    """How to make the source of a stream, anew for every connection. `ring` keeps its packets."""

    def make(epoch: int, first_seq: int) -> Source:
        return _make_source(stream, epoch, first_seq, clock, ring)

    return make if stream.chaos is None else open_source.with_chaos(stream, stream.chaos, make)


def _make_source(
    stream: StreamConfig, epoch: int, first_seq: int, clock: Clock, ring: "PacketRing | None"
) -> Source:
    stream_id, source = stream.id, stream.source
    position = {"epoch": epoch, "first_seq": first_seq}
    tap = ring.connect() if ring is not None and source.kind in ("file", "rtsp") else None
    match source.kind:
        case "file":
            from stages.sources.file import FileSource
            from stages.sources.start_time import StartRule

            return FileSource(
                stream_id,
                source.path,
                fps=stream.fps,
                realtime=source.realtime,
                decoder_threads=source.decoder_threads or 1,
                start_rule=StartRule(source.start_time.pattern, source.start_time.zone),
                pass_corrupt=stream.corrupt == "pass",
                decode=stream.decode,
                hwaccel=stream.hwaccel or "none",
                clock=clock,
                tap=tap,
                **position,
            )
        case "images":
            from stages.sources.images import ImageFolderSource

            return ImageFolderSource(
                stream_id, source.path, fps=source.fps, clock=clock, **position
            )
        case "rtsp":
            from stages.sources.rtsp import RtspSource
            from stages.sources.tls import Tls

            return RtspSource(
                stream_id,
                source.url,
                user=source.user.get_secret_value() if source.user else None,
                password=source.password.get_secret_value() if source.password else None,
                transport=source.transport,
                tls=Tls(source.tls.verify, source.tls.ca_file),
                open_timeout_s=source.open_timeout_s,
                read_timeout_s=source.read_timeout_s,
                picture_timeout_s=source.picture_timeout_s,
                max_pixels=round(source.max_megapixels * 1e6),
                pass_corrupt=stream.corrupt == "pass",
                decode=stream.decode,
                hwaccel=stream.hwaccel or "none",
                fps=stream.fps,
                clock=clock,
                tap=tap,
                **position,
            )
        case "watch":

            def make(part: StreamConfig, epoch: int, first_seq: int) -> Source:
                return _make_source(part, epoch, first_seq, clock, ring)

            return open_source.watch(stream, source, make, epoch, first_seq, clock)
        case "http" | "stdin" | "webcam":
            return open_source.container(stream, source, epoch, first_seq, clock, ring)
        case "street":
            return _make_street(stream_id, source, clock, position)
        case "files":
            raise AssertionError("expand_streams replaces every 'files' source")


def _make_street(
    stream_id: str, source: StreetSourceConfig, clock: Clock, position: dict[str, int]
) -> Source:
    from stages.sources.street.source import StreetSource

    return StreetSource(
        stream_id,
        seed=source.seed,
        seconds=source.seconds,
        fps=source.fps,
        width=source.width,
        height=source.height,
        view=source.view,
        light=source.light,
        clock=clock,
        **position,
    )


def make_tracker(config: TrackingConfig) -> Tracker | None:
    """One stream's tracker; None when tracking is off."""
    from stages.tracking import Tracker as ByteTracker

    if not config.enabled:
        return None
    return ByteTracker(**config.tracker_params)


def make_plane(stream: StreamConfig) -> "PlaneStage | None":
    """What tells places and speeds of one stream's tracks; None where it has no `plane`."""
    from stages.plane import PlaneStage

    given = stream.plane
    return None if given is None else PlaneStage(given.calibration, given.params)


def make_producer(
    config: PipelineConfig, detector: Detector, clock: Clock, instance: str | None = None
) -> Producer:
    """Who writes the messages of this run: `instance`, or this host and process."""
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
    """The same for every run over the same files, so that a re-run gives the same message ids; new
    for every run with a live stream, whose frames never come again."""
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
