"""The section of the Redis sink: a stream, or a pub/sub channel."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from pipeline.config.sinks.section import SpooledSection
from pipeline.config.sinks.tls import TlsConfig
from pipeline.config.values import Seconds, Whole
from sinks.redis.address import RedisAddress
from sinks.redis.append import has_tag


def _checked_address(url: str) -> str:
    RedisAddress.parse(url)
    return url


class RedisSinkConfig(SpooledSection):
    """A Redis stream (or pub/sub channel): of one server, a Sentinel's master or a cluster.
    `stream` may hold `{stream_id}` and `{kind}`, `state` holds `{stream_id}`."""

    kind: Literal["redis"]
    url: Annotated[
        str,
        StringConstraints(pattern=r"^(rediss?(\+sentinel|\+cluster)?|unix)://"),
        AfterValidator(_checked_address),
    ]
    user: str | None = None
    password: SecretStr | None = None
    sentinel_user: str | None = None
    sentinel_password: SecretStr | None = None
    tls: bool | TlsConfig = False
    mode: Literal["stream", "pubsub"] = "stream"
    stream: Annotated[str, StringConstraints(min_length=1)] = "eyrie:detections"
    maxlen: Annotated[Whole, Field(ge=1)] | None = None
    max_age_s: Annotated[Seconds, Field(le=10 * 366 * 86_400)] | None = None
    trim: Literal["about", "exact"] = "about"
    state: str | None = None
    wait_replicas: Annotated[Whole, Field(ge=0, le=100)] = 0
    connect_timeout_s: Seconds = 10

    @property
    def address(self) -> RedisAddress:
        """The `url` in parts."""
        return RedisAddress.parse(self.url)

    @model_validator(mode="after")
    def _check_against_address(self) -> Self:
        address = self.address
        if self.tls and not address.tls:
            raise ValueError("tls is for an address that begins with rediss")
        if (self.sentinel_user or self.sentinel_password) and address.topology != "sentinel":
            raise ValueError("sentinel_user and sentinel_password are for redis+sentinel://")
        if address.topology == "cluster" and self.wait_replicas:
            raise ValueError(
                "wait_replicas is not for a cluster: set min-replicas-to-write at its servers"
            )
        bare = self.stream.replace("{stream_id}", "").replace("{kind}", "")
        if address.topology == "cluster" and set("{}") & set(bare) and not has_tag(bare):
            raise ValueError("in a cluster's stream, braces are for a hash tag: {tag}")
        return self

    @property
    def spools(self) -> bool:
        """False for pub/sub: a subscriber would take a backlog for what is new."""
        return self.mode == "stream"

    @model_validator(mode="after")
    def _check_against_mode(self) -> Self:
        given = [self.maxlen, self.max_age_s, self.wait_replicas or None]
        if self.mode == "pubsub" and any(value is not None for value in given):
            raise ValueError("maxlen, max_age_s and wait_replicas are for mode: stream")
        if self.state is not None and "{stream_id}" not in self.state:
            raise ValueError("state must hold {stream_id}: a hash for each stream")
        if self.mode == "pubsub" and self.state is not None:
            raise ValueError("state is for mode: stream")
        return self
