"""The section for encryption of sinks that go over a network."""

from typing import Annotated, Self

from pydantic import BeforeValidator, model_validator

from pipeline.config.values import FilePath, Section
from sinks.tls import Tls


def on_or_off(value: object) -> object:
    """The section for a switch: `true` is one with its defaults, `false` none. A union with `bool`
    would do the same, and hide what is wrong in the section."""
    word = value.lower() if isinstance(value, str) else value
    if word in (True, "true", "yes", "on"):
        return {}
    return None if word in (False, "false", "no", "off") else value


class TlsConfig(Section):
    """TLS with certificates of one's own: PEM files. `tls: true` is the short form of `tls: {}`."""

    ca: FilePath | None = None
    cert: FilePath | None = None
    key: FilePath | None = None
    verify: bool = True

    @model_validator(mode="after")
    def _check_cert_and_key(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key are given together or not at all")
        return self


TlsChoice = Annotated[TlsConfig | None, BeforeValidator(on_or_off)]
"""A key that is `true`, `false` or a section."""


def tls_of(section: bool | TlsConfig | None) -> Tls | None:
    """The TLS settings that a sink is made with; None: no encryption."""
    if isinstance(section, TlsConfig):
        return Tls(section.ca, section.cert, section.key, section.verify)
    return Tls() if section else None
