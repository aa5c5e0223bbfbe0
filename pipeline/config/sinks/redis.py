"""Where messages go: a Redis stream, or a channel."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from pipeline.config.sinks.section import SinkSection
from pipeline.config.values import Seconds, Whole, with_port


def _redis_place(url: str) -> str:
    parts = urlsplit(url)
    number = parts.path[1:] if parts.scheme != "unix" else ""
    if re.fullmatch(r"[0-9]*", number) and re.fullmatch(r"(db=[0-9]+)?", parts.query):
        return url
    raise ValueError(
        "the address takes the number of the database and no more, as in redis://HOST:PORT/0 or "
        "unix:///PATH?db=0; all else has its own key"
    )


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
