"""The section of the webhook sink: an HTTP endpoint."""

import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from pipeline.config.sinks.section import SpooledSection
from pipeline.config.sinks.tls import TlsConfig
from pipeline.config.values import Number, Seconds, Whole, with_port
from sinks.webhook.answer import place_of

_OURS = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "eyrie-signature",
        "host",
        "idempotency-key",
        "transfer-encoding",
    }
)


def _checked_address(url: str) -> str:
    if not place_of(url) or "@" in url.split("://", 1)[1].split("/", 1)[0]:
        raise ValueError(
            "the address needs a host and takes no user or password: put them into headers"
        )
    return url


class WebhookSinkConfig(SpooledSection):
    """Batches of messages by HTTP POST; values of `headers` are secrets."""

    kind: Literal["webhook"]
    url: Annotated[
        str,
        StringConstraints(pattern=r"^https?://[!-~]+$"),
        AfterValidator(with_port),
        AfterValidator(_checked_address),
    ]
    body: Literal["array", "ndjson"] = "array"
    batch_messages: Annotated[Whole, Field(ge=1, le=10_000)] = 100
    batch_bytes: Annotated[Whole, Field(ge=1000, le=100_000_000)] = 1_000_000
    linger_s: Annotated[Number, Field(ge=0, le=60)] = 0.2
    headers: dict[str, SecretStr] | None = None
    secret: SecretStr | None = None
    tls: TlsConfig | None = None
    connect_timeout_s: Seconds = 10
    timeout_s: Seconds = 30

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, SecretStr] | None) -> dict[str, SecretStr] | None:
        for name, value in (headers or {}).items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or name.lower() in _OURS:
                shown = name.split(":")[0]  # behind it is the value, where YAML lacks the blank
                raise ValueError(f"{shown!r} is no header that can be set here")
            if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value.get_secret_value()):
                raise ValueError(f"the value of {name!r} is not printable ASCII without blank ends")
        return headers

    @field_validator("secret")
    @classmethod
    def _check_secret_length(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < 16:
            raise ValueError("too short to sign with: 16 characters at least")
        return secret

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if self.tls is not None and not self.url.startswith("https:"):
            raise ValueError("tls is for an address that begins with https://")
        return self
