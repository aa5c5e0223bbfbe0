"""The configuration as types. `configs/README.md` explains every key to its user;
`pipeline.config_file` reads it from YAML."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from detectors.base import Precision
from detectors.engines.options import EngineChoice, Hint
from pipeline.channel import WhenFull
from pipeline.core.messages import Condition
from sinks.paths import check_template
from stages.base import Decode
from stages.sources.address import CameraAddress
from stages.sources.start_time import StartRule

LONGEST_ID = 128
Identifier = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_ID),
]


def _no_boolean(value: object) -> object:
    """YAML reads `yes` and `on` as true, which would pass for 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


Whole = Annotated[int, BeforeValidator(_no_boolean)]
Number = Annotated[float, BeforeValidator(_no_boolean)]
Seconds = Annotated[Number, Field(gt=0, le=86_400)]
Fps = Annotated[Number, Field(gt=0, le=1000)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Finite = Annotated[Number, Field(allow_inf_nan=False)]
Point = tuple[Finite, Finite]
Reconnect = Literal["always", "once_up", "never"]


def _with_port(url: str) -> str:
    """The port of an address, where it has one, is a number."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        why = "the address needs a valid host, and a port that is a number up to 65535"
        raise ValueError(why) from None
    return url


def _redis_place(url: str) -> str:
    parts = urlsplit(url)
    number = parts.path[1:] if parts.scheme != "unix" else ""
    if re.fullmatch(r"[0-9]*", number) and re.fullmatch(r"(db=[0-9]+)?", parts.query):
        return url
    raise ValueError(
        "the address takes the number of the database and no more, as in redis://HOST:PORT/0 or "
        "unix:///PATH?db=0; all else has its own key"
    )


def _no_address(path: object) -> object:
    """Refuse what no file is called. The path is not told: an address may hold a password."""
    text = str(path)
    if not text:
        raise ValueError("is empty")
    if "://" in text:
        raise ValueError(
            "is an address where a path belongs; cameras have the kind rtsp, brokers kafka or redis"
        )
    if "\0" in text:
        raise ValueError("no path has a NUL character")
    return path


def _device(value: object) -> object:
    """A number stands for the device that Linux gives it."""
    text = str(value)
    return f"/dev/video{text}" if text.isascii() and text.isdigit() else value


def _known_placeholders(path: str) -> str:
    check_template(path)
    return path


FilePath = Annotated[Path, BeforeValidator(_no_address)]
PathTemplate = Annotated[
    str,
    StringConstraints(min_length=1),
    AfterValidator(_no_address),
    AfterValidator(_known_placeholders),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class StartTimeConfig(_Section):
    """How to find a recording's start; see `stages.sources.start_time.StartRule`."""

    pattern: Annotated[str, StringConstraints(min_length=1)] | None = None
    zone: str = "UTC"

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        StartRule(self.pattern, self.zone)
        return self


class FileSourceConfig(_Section):
    """One file that FFmpeg reads. `realtime` delivers it at its own pace, as a camera would."""

    kind: Literal["file"]
    path: FilePath
    realtime: bool = False
    decoder_threads: Annotated[Whole, Field(ge=1, le=64)] = 2
    start_time: StartTimeConfig = StartTimeConfig()


class FolderSourceConfig(_Section):
    """A folder or glob of video files: each becomes a stream `<id>-<file name>`."""

    kind: Literal["files"]
    pattern: Annotated[str, AfterValidator(_no_address)]
    start_time: StartTimeConfig = StartTimeConfig()


class WatchSourceConfig(_Section):
    """A folder that is watched: video files are read as they come; see `stages.sources.watch`."""

    kind: Literal["watch"]
    path: FilePath
    settle_s: Seconds = 2
    existing: bool = True
    decoder_threads: Annotated[Whole, Field(ge=1, le=64)] = 2
    start_time: StartTimeConfig = StartTimeConfig()


class StdinSourceConfig(_Section):
    """Video on standard input; see `stages.sources.stdin`."""

    kind: Literal["stdin"]
    format: Literal["auto", "mpegts", "matroska", "h264", "hevc", "mjpeg"] = "auto"
    rate: Fps = 25.0
    live: bool = False

    @model_validator(mode="after")
    def _rate_is_used(self) -> Self:
        if "rate" in self.model_fields_set and self.format not in {"h264", "hevc", "mjpeg"}:
            raise ValueError(
                "rate is for format h264, hevc or mjpeg: others have times of their own"
            )
        return self


class ImagesSourceConfig(_Section):
    """A folder of pictures, in order of their names, or one picture."""

    kind: Literal["images"]
    path: FilePath
    fps: Fps = 1.0


class TlsConfig(_Section):
    """What an encrypted camera must prove; see `stages.sources.tls.Tls`."""

    verify: bool = True
    ca_file: FilePath | None = None

    @model_validator(mode="after")
    def _used(self) -> Self:
        if self.ca_file is not None and not self.verify:
            raise ValueError("ca_file has no use with verify: false")
        return self


class ReconnectedConfig(_Section):
    """A source whose connections are watched.

    `reconnect`: `always`, also before the first picture; `once_up`, only after it; or `never`.
    """

    open_timeout_s: Seconds = 10
    read_timeout_s: Seconds = 10
    reconnect: Reconnect = "always"
    longest_pause_s: Seconds = 30
    denied_pause_s: Seconds = 60

    @property
    def tries_again(self) -> Reconnect:
        """Whether it is connected to again."""
        return self.reconnect


class RtspSourceConfig(ReconnectedConfig):
    """An RTSP camera. User and password are apart from the address, and need no escaping."""

    kind: Literal["rtsp"]
    url: Annotated[str, StringConstraints(pattern=r"^rtsps?://"), AfterValidator(_with_port)]
    user: SecretStr | None = None
    password: SecretStr | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    tls: TlsConfig = TlsConfig()
    picture_timeout_s: Seconds = 60
    max_megapixels: Annotated[Number, Field(gt=0, le=1000)] = 16.8

    @field_validator("url")
    @classmethod
    def _no_credentials(cls, url: str) -> str:
        if "@" in url.split("://", 1)[1].split("/", 1)[0]:
            raise ValueError("put the camera's user and password into their own keys, not the url")
        return url

    @model_validator(mode="after")
    def _can_be_opened(self) -> Self:
        user, password = (
            secret.get_secret_value() if secret else None for secret in (self.user, self.password)
        )
        CameraAddress.parse(self.url, user, password)
        if self.url.startswith("rtsps:"):
            if self.transport == "udp":
                raise ValueError("an rtsps camera sends pictures encrypted: transport must be tcp")
        elif self.tls != TlsConfig():
            raise ValueError("tls is for an address that begins with rtsps://")
        return self


class HttpSourceConfig(ReconnectedConfig):
    """Video by HTTP: a file, or with `live` a stream that is connected to again."""

    kind: Literal["http"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://"), AfterValidator(_with_port)]
    live: bool = False
    user: SecretStr | None = None
    password: SecretStr | None = None
    tls: TlsConfig = TlsConfig()
    read_timeout_s: Seconds = 30
    max_megapixels: Annotated[Number, Field(gt=0, le=1000)] = 16.8

    @property
    def tries_again(self) -> Reconnect:
        """A file is read once."""
        return self.reconnect if self.live else "never"

    @model_validator(mode="after")
    def _can_be_opened(self) -> Self:
        if "@" in self.url.split("://", 1)[1].split("/", 1)[0]:
            raise ValueError("put user and password into their own keys, not the url")
        user, password = (
            secret.get_secret_value() if secret else None for secret in (self.user, self.password)
        )
        CameraAddress.parse(self.url, user, password, ("http", "https"))
        if self.tls != TlsConfig() and not self.url.startswith("https:"):
            raise ValueError("tls is for an address that begins with https://")
        if "reconnect" in self.model_fields_set and not self.live:
            raise ValueError("reconnect is for live: true; a file is read once")
        return self


class WebcamSourceConfig(ReconnectedConfig):
    """A camera of this machine, by Video4Linux; see `stages.sources.webcam`."""

    kind: Literal["webcam"]
    device: Annotated[FilePath, BeforeValidator(_device)] = Path("/dev/video0")
    size: tuple[Annotated[Whole, Field(ge=1)], Annotated[Whole, Field(ge=1)]] | None = None
    rate: Fps | None = None
    pixel_format: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")] | None = None


class StreetSourceConfig(_Section):
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


class LineConfig(_Section):
    """A directed counting line in pixels. `in` is a crossing from its left to its right side."""

    name: Identifier
    start: Point
    end: Point

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.start == self.end:
            raise ValueError(f"start and end are the same point {self.start}")
        return self


class HealthConfig(_Section):
    """What is watched for in a stream's pictures; see `stages.health`. `enabled` None: in live
    streams."""

    enabled: bool | None = None
    conditions: Annotated[tuple[Condition, ...], Field(min_length=1)] | None = None
    every_s: Annotated[Number, Field(ge=0.1, le=10)] = 0.5
    start_s: Seconds = 10
    end_s: Seconds = 5
    expected_fps: Fps | None = None
    low_fps_share: Annotated[Number, Field(gt=0, le=1)] = 0.5
    clock_offset_alarm_s: Seconds = 2


class ChaosConfig(_Section):
    """Faults made on purpose, for tests of a deployment; see `stages.sources.chaos`."""

    seed: Annotated[Whole, Field(ge=0)] = 0
    loss: Fraction = 0.0
    corruption: Fraction = 0.0
    bad_pts: Fraction = 0.0
    stalls_per_min: Annotated[Number, Field(ge=0, le=600)] = 0.0
    stall_s: Seconds = 5
    disconnects_per_min: Annotated[Number, Field(ge=0, le=600)] = 0.0
    storm: Annotated[Whole, Field(ge=0, le=1000)] = 0

    @model_validator(mode="after")
    def _storms_need_disconnects(self) -> Self:
        if self.storm and not self.disconnects_per_min:
            raise ValueError("storm has no use without disconnects_per_min")
        return self


class StreamConfig(_Section):
    """One stream. `when_full` is for its frame channel: by default live streams drop the oldest
    frame and files wait. `corrupt: pass` hands damaged pictures on as if they were whole.
    `priority`, `min_fps` and `max_age_ms` are for streams that give way, see `docs/load.md`."""

    id: Identifier
    source: SourceConfig
    fps: Fps | None = None
    max_frames: Annotated[Whole, Field(ge=1)] | None = None
    queue_frames: Annotated[Whole, Field(ge=1, le=1000)] = 4
    when_full: WhenFull | None = None
    decode: Decode = "all"
    priority: Annotated[Whole, Field(ge=0, le=9)] = 5
    min_fps: Fps = 1.0
    max_age_ms: Annotated[Number, Field(ge=10, le=3_600_000)] = 1000.0
    corrupt: Literal["drop", "pass"] = "drop"
    health: HealthConfig = HealthConfig()
    chaos: ChaosConfig | None = None
    lines: tuple[LineConfig, ...] = ()

    @property
    def reconnects(self) -> ReconnectedConfig | None:
        """The source, where it is one whose connections are watched and made anew."""
        return self.source if isinstance(self.source, ReconnectedConfig) else None

    @property
    def live(self) -> bool:
        """Whether real time passes in this stream whether or not it is read."""
        source = self.source
        if isinstance(source, HttpSourceConfig | StdinSourceConfig):
            return source.live
        return isinstance(source, RtspSourceConfig | WebcamSourceConfig) or (
            isinstance(source, FileSourceConfig) and source.realtime
        )

    @property
    def endless(self) -> bool:
        """Whether it may never end, and never comes the same again."""
        return self.live or isinstance(self.source, WatchSourceConfig | StdinSourceConfig)

    @property
    def watched(self) -> bool:
        """Whether the health of its pictures is watched."""
        return self.live if self.health.enabled is None else self.health.enabled

    @property
    def full_queue(self) -> WhenFull:
        """What happens when its frame channel is full."""
        return self.when_full or ("drop_oldest" if self.live else "block")

    @property
    def gives_way(self) -> bool:
        """Whether frames are left out when the engine does not keep up."""
        return self.live and self.full_queue != "block"

    @property
    def longest_age_s(self) -> float | None:
        """How long a frame may wait for the engine; None: as long as it must."""
        return self.max_age_ms / 1000 if self.gives_way else None

    @model_validator(mode="after")
    def _load_keys_are_used(self) -> Self:
        fields = type(self).model_fields
        keys = ("priority", "min_fps", "max_age_ms")
        given = [key for key in keys if getattr(self, key) != fields[key].default]
        if given and not self.gives_way:
            raise ValueError(
                f"{given[0]} is for live streams with when_full drop_oldest or drop_newest: "
                "no other stream leaves out frames when the engine does not keep up"
            )
        if self.fps is not None and self.min_fps > max(self.fps, fields["min_fps"].default):
            raise ValueError(f"min_fps {self.min_fps:g} is more than fps {self.fps:g}")
        return self

    @model_validator(mode="after")
    def _decode_is_used(self) -> Self:
        if self.decode != "all" and isinstance(
            self.source, ImagesSourceConfig | StreetSourceConfig
        ):
            raise ValueError(f"decode is not for a source of kind {self.source.kind}")
        return self

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if self.fps is not None and isinstance(
            self.source, ImagesSourceConfig | StreetSourceConfig
        ):
            raise ValueError(f"a source of kind {self.source.kind} has its own fps: set source.fps")
        return self

    @model_validator(mode="after")
    def _disconnects_end(self) -> Self:
        source = self.reconnects
        again = source is not None and source.tries_again != "never"
        if self.chaos and self.chaos.disconnects_per_min and not again:
            kind = self.source.kind
            raise ValueError(f"chaos.disconnects_per_min: kind {kind} is not connected to again")
        return self

    @model_validator(mode="after")
    def _lines_differ(self) -> Self:
        _require_distinct([line.name for line in self.lines], "line names")
        return self


class ModelConfig(_Section):
    """The detector. `name` is a bundled model or a path to an ONNX file; the other keys of its
    engine are those of `detectors.engines.options.EngineOptions`."""

    name: str = "yolo_nas_n_int8"
    engine: EngineChoice = "auto"
    precision: Precision | None = None
    score_threshold: Fraction = 0.25
    iou_threshold: Fraction = 0.5
    classes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    threads: Annotated[Whole, Field(ge=0, le=256)] = 0
    hint: Hint | None = None
    max_batch: Annotated[Whole, Field(ge=1, le=256)] | None = None
    cache: FilePath | None = None


class BatchConfig(_Section):
    """How frames of all streams are put together: up to `size`, within `within_ms` of waiting."""

    size: Annotated[Whole, Field(ge=1, le=256)] = 4
    within_ms: Annotated[Number, Field(ge=0, le=10_000)] = 5.0


class TrackingConfig(_Section):
    """The tracker; `stages.tracking.TrackerParams` explains its numbers. `enabled: false` publishes
    detections without identity."""

    enabled: bool = True
    high_score: Fraction = 0.4
    low_score: Fraction = 0.1
    birth_score: Fraction = 0.5
    confirm_hits: Annotated[Whole, Field(ge=1, le=1000)] = 2
    lost_s: Annotated[Number, Field(gt=0, le=3600)] = 1.0

    @model_validator(mode="after")
    def _scores_ascend(self) -> Self:
        if not self.low_score <= self.high_score <= self.birth_score:
            raise ValueError("low_score <= high_score <= birth_score must hold")
        return self


class _SinkConfig(_Section):
    name: Identifier | None = None
    queue_messages: Annotated[Whole, Field(ge=1, le=1_000_000)] = 1000
    when_full: WhenFull = "block"


class JsonLinesSinkConfig(_SinkConfig):
    """JSON lines. `path` may hold `{stream_id}`; `-` is standard output."""

    kind: Literal["jsonl"]
    path: PathTemplate


class KafkaSinkConfig(_SinkConfig):
    """An Apache Kafka topic; the key is the stream id."""

    kind: Literal["kafka"]
    bootstrap_servers: Annotated[tuple[str, ...], Field(min_length=1)]
    topic: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    connect_timeout_s: Seconds = 10
    user: str | None = None
    password: SecretStr | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    tls: bool = False

    @field_validator("bootstrap_servers", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _sasl_is_whole(self) -> Self:
        given = [self.user is not None, self.password is not None, self.sasl_mechanism is not None]
        if any(given) and not all(given):
            raise ValueError("user, password and sasl_mechanism are given together or not at all")
        return self


class RedisSinkConfig(_SinkConfig):
    """A Redis stream (or pub/sub channel). `stream` may hold `{stream_id}` and `{kind}`."""

    kind: Literal["redis"]
    url: Annotated[
        str,
        StringConstraints(pattern=r"^(rediss?|unix)://"),
        AfterValidator(_with_port),
        AfterValidator(_redis_place),
    ]
    password: SecretStr | None = None
    mode: Literal["stream", "pubsub"] = "stream"
    stream: Annotated[str, StringConstraints(min_length=1)] = "eyrie:detections"
    maxlen: Annotated[Whole, Field(ge=1)] | None = None
    connect_timeout_s: Seconds = 10


class VideoSinkConfig(_SinkConfig):
    """Annotated H.264 MP4, one file per stream: `path` holds `{stream_id}`."""

    kind: Literal["video"]
    path: PathTemplate
    queue_messages: Annotated[Whole, Field(ge=1, le=1000)] = 8


SinkConfig = Annotated[
    JsonLinesSinkConfig | KafkaSinkConfig | RedisSinkConfig | VideoSinkConfig,
    Field(discriminator="kind"),
]


class PipelineConfig(_Section):
    """Everything that one run needs."""

    streams: Annotated[tuple[StreamConfig, ...], Field(min_length=1)]
    sinks: tuple[SinkConfig, ...] = ()
    model: ModelConfig = ModelConfig()
    batch: BatchConfig = BatchConfig()
    tracking: TrackingConfig = TrackingConfig()
    run_id: Identifier | None = None
    drain_timeout_s: Seconds = 30
    parallel_files: Annotated[Whole, Field(ge=1, le=1024)] = 8

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        _require_distinct([stream.id for stream in self.streams], "stream ids")
        _require_distinct([sink.name for sink in self.sinks if sink.name], "sink names")
        paths = [s.path for s in self.sinks if isinstance(s, JsonLinesSinkConfig | VideoSinkConfig)]
        _require_distinct([str(Path(path).resolve()) for path in paths], "paths of sinks")
        return self

    @model_validator(mode="after")
    def _one_standard_input(self) -> Self:
        if sum(isinstance(stream.source, StdinSourceConfig) for stream in self.streams) > 1:
            raise ValueError("only one stream can read standard input")
        return self

    @model_validator(mode="after")
    def _batches_fit(self) -> Self:
        limit = self.model.max_batch
        if limit is not None and self.batch.size > limit:
            raise ValueError(
                f"batch.size {self.batch.size} is more than model.max_batch {limit}: "
                "make one smaller or the other larger"
            )
        return self

    @model_validator(mode="after")
    def _lines_need_tracks(self) -> Self:
        if not self.tracking.enabled and any(stream.lines for stream in self.streams):
            raise ValueError("lines count tracks: remove the lines or set tracking.enabled: true")
        return self

    @model_validator(mode="after")
    def _one_video_per_stream(self) -> Self:
        for sink in self.sinks:
            shared = isinstance(sink, VideoSinkConfig) and "{stream_id}" not in sink.path
            if shared and len(self.streams) > 1:
                raise ValueError("a video sink of several streams needs {stream_id} in its path")
        return self


def _require_distinct(names: Sequence[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} must differ, but {name!r} is there {names.count(name)} times")
