"""The section `source` of a stream to its source; faults on purpose; devices that decode."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import (
    ChaosConfig,
    FileSourceConfig,
    FolderSourceConfig,
    HttpSourceConfig,
    ImagesSourceConfig,
    RtspSourceConfig,
    StdinSourceConfig,
    StreamConfig,
    StreetSourceConfig,
    WatchSourceConfig,
    WebcamSourceConfig,
)
from pipeline.config.values import plain
from pipeline.core.clock import Clock
from pipeline.core.errors import ConfigError
from stages.base import Hwaccel, MakeSource, Source
from stages.sources.reading import Reading

if TYPE_CHECKING:
    from stages.evidence.ring import PacketRing


def require_devices(streams: Iterable[StreamConfig]) -> None:
    """Raise `ConfigError` where a stream names a device to decode that cannot be had. Blocks until
    each has answered."""
    wanted: dict[Hwaccel, str] = {}
    for stream in streams:
        if stream.hwaccel is not None and stream.hwaccel not in ("none", "auto"):
            wanted.setdefault(stream.hwaccel, stream.id)
    for kind, stream_id in wanted.items():
        from stages.sources.hardware import NoDevice, device

        try:
            device(kind)
        except NoDevice as error:
            why = f"{kind}: {error}; auto decodes in software where there is no device"
            raise ConfigError(f"streams.{stream_id}.hwaccel", why) from None


def with_chaos(stream: StreamConfig, config: ChaosConfig, make: MakeSource) -> MakeSource:
    """The same function, whose sources have faults on purpose, over all connections."""
    from stages.sources.chaos import Chaos, ChaosSettings

    chaos = Chaos(stream.id, ChaosSettings(**config.model_dump()))

    def make_chaotic(epoch: int, first_seq: int) -> Source:
        return chaos.wrap(make(epoch, first_seq), pass_corrupt=stream.corrupt == "pass")

    return make_chaotic


def make_source(
    stream: StreamConfig, epoch: int, first_seq: int, clock: Clock, ring: "PacketRing | None" = None
) -> Source:
    """Make the source of a stream for one connection, whose first frame has `epoch` and
    `first_seq`; `ring` keeps its packets, where it has any."""
    source = stream.source
    match source:
        case FolderSourceConfig():
            raise AssertionError("expand_streams replaces every 'files' source")
        case ImagesSourceConfig():
            from stages.sources.images import ImageFolderSource

            return ImageFolderSource(
                stream.id, source.path, fps=source.fps,
                epoch=epoch, first_seq=first_seq, clock=clock,
            )  # fmt: skip
        case StreetSourceConfig():
            return _street(stream.id, source, epoch, first_seq, clock)
        case WatchSourceConfig():
            return _watch(stream, source, epoch, first_seq, clock, ring)
        case _:
            reading = _reading(stream, epoch, first_seq, clock, ring)
            return _decoded(stream.id, source, reading)


def _reading(
    stream: StreamConfig, epoch: int, first_seq: int, clock: Clock, ring: "PacketRing | None"
) -> Reading:
    return Reading(
        live=stream.live,
        epoch=epoch,
        first_seq=first_seq,
        fps=stream.fps,
        pass_corrupt=stream.corrupt == "pass",
        decode=stream.decode,
        hwaccel=stream.hwaccel or "none",
        clock=clock,
        tap=ring.connect() if ring is not None else None,
    )


Connected = RtspSourceConfig | HttpSourceConfig | WebcamSourceConfig


def _decoded(
    stream_id: str, source: FileSourceConfig | StdinSourceConfig | Connected, reading: Reading
) -> Source:
    """Make a source that FFmpeg reads."""
    match source:
        case FileSourceConfig():
            from stages.sources.file import FileSource
            from stages.sources.start_time import StartRule

            return FileSource(
                stream_id,
                source.path,
                reading,
                realtime=source.realtime,
                decoder_threads=source.decoder_threads or 1,
                start_rule=StartRule(source.start_time.pattern, source.start_time.zone),
            )
        case StdinSourceConfig():
            from stages.sources.stdin import StdinSource

            return StdinSource(stream_id, reading, format_=source.format, rate=source.rate)
        case _:
            return _connected(stream_id, source, reading)


def _connected(stream_id: str, source: Connected, reading: Reading) -> Source:
    """Make a source whose connection has deadlines."""
    opens_s, reads_s = source.open_timeout_s, source.read_timeout_s
    reading = replace(reading, open_timeout_s=opens_s, read_timeout_s=reads_s)
    if isinstance(source, WebcamSourceConfig):
        from stages.sources.webcam import WebcamSource

        return WebcamSource(
            stream_id, source.device, reading,
            size=source.size, rate=source.rate, pixel_format=source.pixel_format,
        )  # fmt: skip
    from stages.sources.tls import Tls

    login = {"user": plain(source.user), "password": plain(source.password)}
    tls = Tls(source.tls.verify, source.tls.ca_file)
    reading = replace(reading, max_pixels=round(source.max_megapixels * 1e6))
    if isinstance(source, HttpSourceConfig):
        from stages.sources.http import HttpSource

        return HttpSource(stream_id, source.url, reading, tls=tls, **login)
    from stages.sources.rtsp import RtspSource

    reading = replace(reading, picture_timeout_s=source.picture_timeout_s)
    return RtspSource(stream_id, source.url, reading, transport=source.transport, tls=tls, **login)


def _watch(
    stream: StreamConfig,
    source: WatchSourceConfig,
    epoch: int,
    first_seq: int,
    clock: Clock,
    ring: "PacketRing | None",
) -> Source:
    from stages.sources.watch import WatchSource

    def make_file(path: Path, epoch: int, first_seq: int) -> Source:
        file = FileSourceConfig(
            kind="file",
            path=path,
            decoder_threads=source.decoder_threads or 1,
            start_time=source.start_time,
        )
        part = stream.model_copy(update={"source": file})
        return make_source(part, epoch, first_seq, clock, ring)

    return WatchSource(
        stream.id,
        source.path,
        make_file,
        settle_s=source.settle_s,
        existing=source.existing,
        epoch=epoch,
        first_seq=first_seq,
        clock=clock,
    )


def _street(
    stream_id: str, source: StreetSourceConfig, epoch: int, first_seq: int, clock: Clock
) -> Source:
    from stages.sources.street.source import StreetSource

    drawn = source.model_dump(exclude={"kind"})
    return StreetSource(stream_id, epoch=epoch, first_seq=first_seq, clock=clock, **drawn)
