"""Sections for sources, where a stream's pictures come from: one for each kind."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from pipeline.config.values import (
    FilePath,
    Fps,
    Number,
    Reconnect,
    Seconds,
    Section,
    Whole,
    no_address,
    plain,
    with_port,
)
from stages.sources.address import CameraAddress
from stages.sources.start_time import StartRule


def _device_path(value: object) -> object:
    """The path of a device that is given as its number on Linux: 0 is `/dev/video0`."""
    text = str(value)
    return f"/dev/video{text}" if text.isascii() and text.isdigit() else value


class StartTimeConfig(Section):
    """The rule for the start time of a recording; see `stages.sources.start_time.StartRule`."""

    pattern: Annotated[str, StringConstraints(min_length=1)] | None = None
    zone: str = "UTC"

    @model_validator(mode="after")
    def _check_rule(self) -> Self:
        StartRule(self.pattern, self.zone)
        return self


class FileSourceConfig(Section):
    """One file that FFmpeg reads. `realtime` delivers it at its own pace, as a camera would."""

    kind: Literal["file"]
    path: FilePath
    realtime: bool = False
    decoder_threads: Annotated[Whole, Field(ge=1, le=64)] | None = None
    start_time: StartTimeConfig = StartTimeConfig()


class FolderSourceConfig(Section):
    """A folder or glob of video files: each becomes a stream `<id>-<file name>`."""

    kind: Literal["files"]
    pattern: Annotated[str, AfterValidator(no_address)]
    start_time: StartTimeConfig = StartTimeConfig()


class WatchSourceConfig(Section):
    """A folder that is watched: video files are read as they come; see `stages.sources.watch`."""

    kind: Literal["watch"]
    path: FilePath
    settle_s: Seconds = 2
    existing: bool = True
    decoder_threads: Annotated[Whole, Field(ge=1, le=64)] | None = None
    start_time: StartTimeConfig = StartTimeConfig()


class StdinSourceConfig(Section):
    """Video on standard input; see `stages.sources.stdin`."""

    kind: Literal["stdin"]
    format: Literal["auto", "mpegts", "matroska", "h264", "hevc", "mjpeg"] = "auto"
    rate: Fps = 25.0
    live: bool = False

    @model_validator(mode="after")
    def _check_rate_is_used(self) -> Self:
        if "rate" in self.model_fields_set and self.format not in {"h264", "hevc", "mjpeg"}:
            raise ValueError(
                "rate is for format h264, hevc or mjpeg: others have times of their own"
            )
        return self


class ImagesSourceConfig(Section):
    """A folder of pictures, in order of their names, or one picture."""

    kind: Literal["images"]
    path: FilePath
    fps: Fps = 1.0


class TlsConfig(Section):
    """The certificate check of an encrypted camera; see `stages.sources.tls.Tls`."""

    verify: bool = True
    ca_file: FilePath | None = None

    @model_validator(mode="after")
    def _check_ca_file_is_used(self) -> Self:
        if self.ca_file is not None and not self.verify:
            raise ValueError("ca_file has no use with verify: false")
        return self


class ReconnectedConfig(Section):
    """The keys of sources whose connections are watched, and made anew when they are lost.

    `reconnect`: `always`, also before the first picture; `once_up`, only after it; or `never`.
    """

    open_timeout_s: Seconds = 10
    read_timeout_s: Seconds = 10
    reconnect: Reconnect = "always"
    longest_pause_s: Seconds = 30
    denied_pause_s: Seconds = 60

    @property
    def tries_again(self) -> Reconnect:
        """When the source is connected to again after a failure."""
        return self.reconnect


class RtspSourceConfig(ReconnectedConfig):
    """An RTSP camera. User and password are apart from the address, and need no escaping."""

    kind: Literal["rtsp"]
    url: Annotated[str, StringConstraints(pattern=r"^rtsps?://"), AfterValidator(with_port)]
    user: SecretStr | None = None
    password: SecretStr | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    tls: TlsConfig = TlsConfig()
    picture_timeout_s: Seconds = 60
    max_megapixels: Annotated[Number, Field(gt=0, le=1000)] = 16.8

    @field_validator("url")
    @classmethod
    def _check_no_credentials(cls, url: str) -> str:
        if "@" in url.split("://", 1)[1].split("/", 1)[0]:
            raise ValueError("put the camera's user and password into their own keys, not the url")
        return url

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        CameraAddress.parse(self.url, plain(self.user), plain(self.password))
        if self.url.startswith("rtsps:"):
            if self.transport == "udp":
                raise ValueError("an rtsps camera sends pictures encrypted: transport must be tcp")
        elif self.tls != TlsConfig():
            raise ValueError("tls is for an address that begins with rtsps://")
        return self


class HttpSourceConfig(ReconnectedConfig):
    """Video by HTTP: a file, or with `live` a stream that is connected to again."""

    kind: Literal["http"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://"), AfterValidator(with_port)]
    live: bool = False
    user: SecretStr | None = None
    password: SecretStr | None = None
    tls: TlsConfig = TlsConfig()
    read_timeout_s: Seconds = 30
    max_megapixels: Annotated[Number, Field(gt=0, le=1000)] = 16.8

    @property
    def tries_again(self) -> Reconnect:
        """When the source is connected to again after a failure: a file never."""
        return self.reconnect if self.live else "never"

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        if "@" in self.url.split("://", 1)[1].split("/", 1)[0]:
            raise ValueError("put user and password into their own keys, not the url")
        user, password = plain(self.user), plain(self.password)
        CameraAddress.parse(self.url, user, password, ("http", "https"))
        if self.tls != TlsConfig() and not self.url.startswith("https:"):
            raise ValueError("tls is for an address that begins with https://")
        if "reconnect" in self.model_fields_set and not self.live:
            raise ValueError("reconnect is for live: true; a file is read once")
        return self


class WebcamSourceConfig(ReconnectedConfig):
    """A camera of this machine, by Video4Linux; see `stages.sources.webcam`."""

    kind: Literal["webcam"]
    device: Annotated[FilePath, BeforeValidator(_device_path)] = Path("/dev/video0")
    size: tuple[Annotated[Whole, Field(ge=1)], Annotated[Whole, Field(ge=1)]] | None = None
    rate: Fps | None = None
    pixel_format: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")] | None = None


class StreetSourceConfig(Section):
    """The synthetic street: drawn, encoded to H.264 and decoded again, with a known truth."""

    kind: Literal["street"]
    seed: Annotated[Whole, Field(ge=0)] = 0
    view: Literal["pavement", "street", "junction", "highway", "overhead", "corridor"] = "street"
    light: Literal["day", "dusk", "night"] = "day"
    seconds: Seconds = 20
    fps: Fps = 12.5
    width: Annotated[Whole, Field(ge=64, le=3840, multiple_of=2)] = 960
    height: Annotated[Whole, Field(ge=64, le=2160, multiple_of=2)] = 540


SourceConfig = Annotated[
    FileSourceConfig
    | FolderSourceConfig
    | WatchSourceConfig
    | ImagesSourceConfig
    | StdinSourceConfig
    | RtspSourceConfig
    | HttpSourceConfig
    | WebcamSourceConfig
    | StreetSourceConfig,
    Field(discriminator="kind"),
]
