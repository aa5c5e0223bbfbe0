"""Where messages and videos go: a section for each kind of sink."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from pipeline.channel import WhenFull
from pipeline.config.values import (
    Identifier,
    PathTemplate,
    Seconds,
    Section,
    Whole,
    with_port,
)


def _redis_place(url: str) -> str:
    parts = urlsplit(url)
    number = parts.path[1:] if parts.scheme != "unix" else ""
    if re.fullmatch(r"[0-9]*", number) and re.fullmatch(r"(db=[0-9]+)?", parts.query):
        return url
    raise ValueError(
        "the address takes the number of the database and no more, as in redis://HOST:PORT/0 or "
        "unix:///PATH?db=0; all else has its own key"
    )


class SinkSection(Section):
    """The keys of every kind of sink."""

    name: Identifier | None = None
    queue_messages: Annotated[Whole, Field(ge=1, le=1_000_000)] = 1000
    when_full: WhenFull = "block"


class JsonLinesSinkConfig(SinkSection):
    """JSON lines. `path` may hold `{stream_id}`; `-` is standard output."""

    kind: Literal["jsonl"]
    path: PathTemplate


class KafkaSinkConfig(SinkSection):
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


class RedisSinkConfig(SinkSection):
    """A Redis stream (or pub/sub channel). `stream` may hold `{stream_id}` and `{kind}`."""

    kind: Literal["redis"]
    url: Annotated[
        str,
        StringConstraints(pattern=r"^(rediss?|unix)://"),
        AfterValidator(with_port),
        AfterValidator(_redis_place),
    ]
    password: SecretStr | None = None
    mode: Literal["stream", "pubsub"] = "stream"
    stream: Annotated[str, StringConstraints(min_length=1)] = "eyrie:detections"
    maxlen: Annotated[Whole, Field(ge=1)] | None = None
    connect_timeout_s: Seconds = 10


class VideoSinkConfig(SinkSection):
    """Annotated H.264 MP4, one file per stream: `path` holds `{stream_id}`."""

    kind: Literal["video"]
    path: PathTemplate
    queue_messages: Annotated[Whole, Field(ge=1, le=1000)] = 8


SinkConfig = Annotated[
    JsonLinesSinkConfig | KafkaSinkConfig | RedisSinkConfig | VideoSinkConfig,
    Field(discriminator="kind"),
]
