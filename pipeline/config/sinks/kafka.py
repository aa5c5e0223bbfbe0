"""The section of the Kafka sink."""

from typing import Annotated, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from pipeline.config.sinks.section import SpooledSection
from pipeline.config.sinks.tls import TlsChoice, on_or_off
from pipeline.config.values import Seconds, Section, Whole
from pipeline.core.messages import Kind

_KIND = "{kind}"
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_LONGEST_TOPIC = 249


def _checked_topic(name: str) -> str:
    plain = name.replace(_KIND, "end_of_stream")
    if 0 < len(plain) <= _LONGEST_TOPIC and _LETTERS.issuperset(plain) and plain not in (".", ".."):
        return name
    raise ValueError(
        f"a topic has 1 to {_LONGEST_TOPIC} letters, digits, '.', '_' and '-', and here {_KIND}"
    )


Topic = Annotated[str, AfterValidator(_checked_topic)]


def _off(value: object) -> object:
    """The word `none` for null and `off`, which YAML does not read as text."""
    return "none" if value is None or value is False else value


class KafkaCreateConfig(Section):
    """The settings of topics that are missing and made; None is the broker's default."""

    partitions: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    replication_factor: Annotated[Whole, Field(ge=1, le=100)] | None = None


class KafkaSinkConfig(SpooledSection):
    """Apache Kafka; the key is the stream id. `topic` may hold `{kind}`; `topics` has a topic by
    kind, for which it is asked first."""

    kind: Literal["kafka"]
    bootstrap_servers: Annotated[tuple[str, ...], Field(min_length=1)]
    topic: Topic | None = None
    topics: dict[Kind, Topic] | None = None
    create: Annotated[KafkaCreateConfig | None, BeforeValidator(on_or_off)] = None
    client: Literal["kafka-python", "confluent"] = "kafka-python"
    format: Literal["json", "avro"] = "json"
    compression: Annotated[Literal["none", "gzip", "lz4", "zstd"], BeforeValidator(_off)] = "none"
    linger_ms: Annotated[Whole, Field(ge=0, le=10_000)] = 5
    batch_bytes: Annotated[Whole, Field(ge=1024, le=16_777_216)] = 262_144
    max_message_bytes: Annotated[Whole, Field(ge=1024, le=67_108_864)] = 1_000_000
    transactional: bool = False
    connect_timeout_s: Seconds = 10
    user: str | None = None
    password: SecretStr | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    tls: TlsChoice = None

    @field_validator("bootstrap_servers", mode="before")
    @classmethod
    def _split_servers(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("bootstrap_servers")
    @classmethod
    def _check_servers(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        if any("@" in server for server in servers):
            raise ValueError("takes HOST:PORT alone: user and password have their own keys")
        return servers

    @model_validator(mode="after")
    def _check_sasl(self) -> Self:
        given = [self.user is not None, self.password is not None, self.sasl_mechanism is not None]
        if any(given) and not all(given):
            raise ValueError("user, password and sasl_mechanism are given together or not at all")
        return self

    @model_validator(mode="after")
    def _check_topics(self) -> Self:
        without = [kind for kind in self._kinds if kind not in (self.topics or {})]
        if without and self.topic is None:
            raise ValueError(f"`topic` is missing, and `topics` has none for {', '.join(without)}")
        return self

    @property
    def _kinds(self) -> list[Kind]:
        every: tuple[Kind, ...] = get_args(Kind)
        kept = self.only.kinds if self.only else None
        return [kind for kind in every if kept is None or kind in kept]

    @property
    def topic_by_kind(self) -> dict[Kind, str]:
        """The topic of each kind of message that this sink gets."""
        named = {kind: (self.topics or {}).get(kind, self.topic) for kind in self._kinds}
        return {kind: name.replace(_KIND, kind) for kind, name in named.items() if name}
