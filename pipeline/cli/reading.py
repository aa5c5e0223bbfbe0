"""What the commands that read messages share: address, password, and waiting for the broker."""

import logging
import os
import re
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from pipeline.core.errors import ConfigError
from sinks.consume.base import Begin

PASSWORD: Final = "EYRIE_PASSWORD"
ANSWER_S: Final = 5.0
"""How long a broker may take to accept a connection, or to answer."""
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def password_for(url: str) -> str | None:
    """From the environment. Raises `ConfigError` for one in the address, where anybody on this
    machine could read it."""
    login = urlsplit(url).netloc.rpartition("@")[0] if "://" in url else ""
    if ":" in login:
        raise ConfigError("URL", f"passwords do not belong in an address; set {PASSWORD}")
    return os.environ.get(PASSWORD)


def begin_at(text: str | None, default: Begin, now: datetime) -> Begin:
    """`oldest`, `newest`, a span back from `now` such as `90s`, `10m`, `2h`, `1d`, or a time in ISO
    8601, in UTC where it names no zone. Raises `ConfigError`."""
    if text is None:
        return default
    if text == "oldest":
        return "oldest"
    if text == "newest":
        return "newest"
    if span := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text):
        return now - timedelta(**{_UNITS[span[2]]: float(span[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        forms = "oldest, newest, a span such as 10m, or a time such as 2026-01-31T08:00:00Z"
        raise ConfigError("--since", f"{text!r} is none of {forms}") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def quiet_clients() -> None:
    """Clients log loudly what readers tell in one line."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
