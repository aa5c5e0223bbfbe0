"""The section of the MQTT sink."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from pipeline.config.sinks.section import SpooledSection
from pipeline.config.sinks.tls import TlsConfig
from pipeline.config.values import Seconds, Whole, with_port

_PLACEHOLDERS = ("{stream_id}", "{kind}", "{client_id}")


def _checked_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("put user and password into their own keys, not the url")
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("the address takes the host and its port and no more: mqtt://HOST:PORT")
    return url


def _checked_topic(topic: str) -> str:
    bare = topic
    for placeholder in _PLACEHOLDERS:
        bare = bare.replace(placeholder, "")
    if set("+#\0{}") & set(bare):
        raise ValueError("a topic has no +, # or NUL, and braces only around a placeholder")
    return topic


def _number(value: object) -> object:
    """The number, also if it came as text from the query of an address."""
    return int(value) if isinstance(value, str) and value in ("0", "1", "2") else value


Topic = Annotated[
    str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_checked_topic)
]


class MqttSinkConfig(SpooledSection):
    """An MQTT broker. `topic` may hold `{stream_id}` and `{kind}`, `status_topic` holds
    `{stream_id}`, `presence_topic` may hold `{client_id}`."""

    kind: Literal["mqtt"]
    url: Annotated[
        str,
        StringConstraints(pattern=r"^mqtts?://"),
        AfterValidator(with_port),
        AfterValidator(_checked_address),
    ]
    user: str | None = None
    password: SecretStr | None = None
    tls: bool | TlsConfig = False
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    topic: Topic = "eyrie/{stream_id}/{kind}"
    status_topic: Topic | None = "eyrie/{stream_id}/status"
    presence_topic: Topic | None = "eyrie/producer/{client_id}"
    qos: Annotated[Literal[0, 1, 2], BeforeValidator(_number)] = 1
    in_flight: Annotated[Whole, Field(ge=1, le=65_535)] = 100
    keepalive_s: Annotated[Whole, Field(ge=1, le=65_535)] = 30
    connect_timeout_s: Seconds = 10

    @model_validator(mode="after")
    def _check_login_and_topics(self) -> Self:
        if self.tls and not self.url.startswith("mqtts:"):
            raise ValueError("tls is for an address that begins with mqtts://")
        if self.password is not None and self.user is None:
            raise ValueError("password needs user")
        if self.status_topic is not None and "{stream_id}" not in self.status_topic:
            raise ValueError(
                "status_topic must hold {stream_id}: a broker keeps one message a topic"
            )
        if "{client_id}" in self.topic + (self.status_topic or ""):
            raise ValueError("{client_id} is for presence_topic")
        presence = self.presence_topic or ""
        if "{stream_id}" in presence or "{kind}" in presence:
            raise ValueError("presence_topic is about this process: only {client_id} is for it")
        return self
