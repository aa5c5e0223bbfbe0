"""Where messages go: an Apache Kafka topic."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from pipeline.config.sinks.section import SinkSection
from pipeline.config.values import Seconds


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
