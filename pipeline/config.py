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

from pipeline.channel import WhenFull
from sinks.paths import check_template

LONGEST_ID = 128
Identifier = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_ID),
]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Fps = Annotated[float, Field(gt=0, le=1000)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Point = tuple[Finite, Finite]


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
    if "://" in text:
        raise ValueError(
            "is an address where a path belongs; cameras have the kind rtsp, brokers kafka or redis"
        )
    if "\0" in text:
        raise ValueError("no path has a NUL character")
    return path


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


class FileSourceConfig(_Section):
    """One file that FFmpeg reads. `realtime` delivers it at its own pace, as a camera would."""

    kind: Literal["file"]
    path: FilePath
    realtime: bool = False


class FolderSourceConfig(_Section):
    """A folder or glob of video files: each becomes a stream `<id>-<file name>`."""

    kind: Literal["files"]
    pattern: Annotated[str, AfterValidator(_no_address)]


class ImagesSourceConfig(_Section):
    """A folder of pictures, in order of their names, or one picture."""

    kind: Literal["images"]
    path: FilePath
    fps: Fps = 1.0


class RtspSourceConfig(_Section):
    """An RTSP camera. User and password are apart from the address, and need no escaping.

    `reconnect`: `always`, also before the first picture (but not when the server says that the path
    or the password is wrong); `once_up`, only after it; or `never`.
    """

    kind: Literal["rtsp"]
    url: Annotated[str, StringConstraints(pattern=r"^rtsps?://"), AfterValidator(_with_port)]
    user: str | None = None
    password: SecretStr | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout_s: Seconds = 10
    read_timeout_s: Seconds = 10
    reconnect: Literal["always", "once_up", "never"] = "always"

    @field_validator("url")
    @classmethod
    def _no_credentials(cls, url: str) -> str:
        if "@" in url.split("://", 1)[1].split("/", 1)[0]:
            raise ValueError("put the camera's user and password into their own keys, not the url")
        return url


class StreetSourceConfig(_Section):
    """The synthetic street: drawn, encoded to H.264 and decoded again, with a known truth."""

    kind: Literal["street"]
    seed: Annotated[int, Field(ge=0)] = 0
    view: Literal["pavement", "street", "junction", "highway", "overhead", "corridor"] = "street"
    light: Literal["day", "dusk", "night"] = "day"
    seconds: Seconds = 20
    fps: Fps = 12.5
    width: Annotated[int, Field(ge=64, le=3840, multiple_of=2)] = 960
    height: Annotated[int, Field(ge=64, le=2160, multiple_of=2)] = 540


SourceConfig = Annotated[
    FileSourceConfig
    | FolderSourceConfig
    | ImagesSourceConfig
    | RtspSourceConfig
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


class StreamConfig(_Section):
    """One stream. `when_full` is for its frame channel: by default live streams drop the oldest
    frame and files wait."""

    id: Identifier
    source: SourceConfig
    fps: Fps | None = None
    max_frames: Annotated[int, Field(ge=1)] | None = None
    queue_frames: Annotated[int, Field(ge=1, le=1000)] = 4
    when_full: WhenFull | None = None
    lines: tuple[LineConfig, ...] = ()

    @property
    def live(self) -> bool:
        """Whether real time passes in this stream whether or not it is read."""
        source = self.source
        return isinstance(source, RtspSourceConfig) or (
            isinstance(source, FileSourceConfig) and source.realtime
        )

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if self.fps is not None and isinstance(
            self.source, ImagesSourceConfig | StreetSourceConfig
        ):
            raise ValueError(f"a source of kind {self.source.kind} has its own fps: set source.fps")
        return self

    @model_validator(mode="after")
    def _lines_differ(self) -> Self:
        _require_distinct([line.name for line in self.lines], "line names")
        return self


class ModelConfig(_Section):
    """The detector. `name` is a bundled model or a path to an ONNX file."""

    name: str = "yolo_nas_n_int8"
    score_threshold: Fraction = 0.25
    iou_threshold: Fraction = 0.5
    classes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    threads: Annotated[int, Field(ge=0, le=256)] = 0


class BatchConfig(_Section):
    """How frames of all streams are put together: up to `size`, within `within_ms` of waiting."""

    size: Annotated[int, Field(ge=1, le=256)] = 4
    within_ms: Annotated[float, Field(ge=0, le=10_000)] = 5.0


class TrackingConfig(_Section):
    """The tracker; `stages.tracking.TrackerParams` explains its numbers. `enabled: false` publishes
    detections without identity."""

    enabled: bool = True
    high_score: Fraction = 0.4
    low_score: Fraction = 0.1
    birth_score: Fraction = 0.5
    confirm_hits: Annotated[int, Field(ge=1, le=1000)] = 2
    lost_s: Annotated[float, Field(gt=0, le=3600)] = 1.0

    @model_validator(mode="after")
    def _scores_ascend(self) -> Self:
        if not self.low_score <= self.high_score <= self.birth_score:
            raise ValueError("low_score <= high_score <= birth_score must hold")
        return self


class _SinkConfig(_Section):
    name: Identifier | None = None
    queue_messages: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
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
    maxlen: Annotated[int, Field(ge=1)] | None = None
    connect_timeout_s: Seconds = 10


class VideoSinkConfig(_SinkConfig):
    """Annotated H.264 MP4, one file per stream: `path` holds `{stream_id}`."""

    kind: Literal["video"]
    path: PathTemplate
    queue_messages: Annotated[int, Field(ge=1, le=1000)] = 8


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
    parallel_files: Annotated[int, Field(ge=1, le=1024)] = 8

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        _require_distinct([stream.id for stream in self.streams], "stream ids")
        _require_distinct([sink.name for sink in self.sinks if sink.name], "sink names")
        paths = [s.path for s in self.sinks if isinstance(s, JsonLinesSinkConfig | VideoSinkConfig)]
        _require_distinct([str(Path(path).resolve()) for path in paths], "paths of sinks")
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
