"""Sources that are made of others, or that FFmpeg reads from elsewhere than a file, out of their
configuration: for `pipeline.build`."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from pipeline.config import (
    ChaosConfig,
    FileSourceConfig,
    HttpSourceConfig,
    StdinSourceConfig,
    StreamConfig,
    WatchSourceConfig,
    WebcamSourceConfig,
)
from pipeline.core.clock import Clock
from pipeline.core.errors import ConfigError
from pipeline.stream import MakeSource
from stages.base import Hwaccel, Source

if TYPE_CHECKING:
    from stages.evidence.ring import PacketRing
    from stages.sources.container import Reading

MakeFor = Callable[[StreamConfig, int, int], Source]
"""(stream, epoch, first seq) -> its source."""


def require_devices(streams: Iterable[StreamConfig]) -> None:
    """Raises `ConfigError` where a stream names a device to decode that cannot be had. Blocks until
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
    """The same, with faults on purpose, over all connections that are made."""
    from stages.sources.chaos import Chaos, ChaosSettings

    chaos = Chaos(stream.id, ChaosSettings(**config.model_dump()))

    def make_chaotic(epoch: int, first_seq: int) -> Source:
        return chaos.wrap(make(epoch, first_seq), pass_corrupt=stream.corrupt == "pass")

    return make_chaotic


def watch(
    stream: StreamConfig,
    source: WatchSourceConfig,
    make: MakeFor,
    epoch: int,
    first_seq: int,
    clock: Clock,
) -> Source:
    """A watched folder, whose files are made by `make`."""
    from stages.sources.watch import WatchSource

    def make_file(path: Path, epoch: int, first_seq: int) -> Source:
        file = FileSourceConfig(
            kind="file",
            path=path,
            decoder_threads=source.decoder_threads or 1,
            start_time=source.start_time,
        )
        return make(stream.model_copy(update={"source": file}), epoch, first_seq)

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


def container(
    stream: StreamConfig,
    source: HttpSourceConfig | StdinSourceConfig | WebcamSourceConfig,
    epoch: int,
    first_seq: int,
    clock: Clock,
    ring: "PacketRing | None" = None,
) -> Source:
    """What FFmpeg reads from the web, standard input or a device; `ring` keeps its packets."""
    from stages.sources.container import Reading

    reading = Reading(
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
    match source:
        case HttpSourceConfig():
            return _http(stream.id, source, reading)
        case StdinSourceConfig():
            from stages.sources.stdin import StdinSource

            return StdinSource(stream.id, reading, format_=source.format, rate=source.rate)
        case WebcamSourceConfig():
            from stages.sources.webcam import WebcamSource

            return WebcamSource(
                stream.id,
                source.device,
                reading,
                size=source.size,
                rate=source.rate,
                pixel_format=source.pixel_format,
                open_timeout_s=source.open_timeout_s,
                read_timeout_s=source.read_timeout_s,
            )


def _http(stream_id: str, source: HttpSourceConfig, reading: "Reading") -> Source:
    from stages.sources.http import HttpSource
    from stages.sources.tls import Tls

    return HttpSource(
        stream_id,
        source.url,
        replace(reading, max_pixels=round(source.max_megapixels * 1e6)),
        user=_secret(source.user),
        password=_secret(source.password),
        tls=Tls(source.tls.verify, source.tls.ca_file),
        open_timeout_s=source.open_timeout_s,
        read_timeout_s=source.read_timeout_s,
    )


def _secret(text: SecretStr | None) -> str | None:
    return text.get_secret_value() if text else None
