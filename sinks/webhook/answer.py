"""The meaning of an HTTP status for a batch of messages: delivered, again, refused, or
misdirected."""

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from pipeline.core.errors import Backpressure, SinkError, SinkUnavailable

_LATER: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_CREDENTIALS: Final = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
}
_NOBODY: Final = {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.GONE,
    HTTPStatus.MISDIRECTED_REQUEST,
}
_LONGEST_PAUSE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Refused:
    """A message of the batch will never be taken; which one is to be found out."""

    why: str


def judge(
    sink: str, place: str, status: int, headers: Mapping[str, str], now_s: float
) -> SinkError | Refused | None:
    """Judge an answer -> None when the batch is delivered, else the error that stops it. `now_s` is
    Unix time.

    2xx: delivered. 408, 425, 429, 5xx: again, with `Backpressure` after the time that `Retry-After`
    (RFC 9110) asks for, at most 300 s. Again, for an operator can mend it: redirects, credentials
    (401, 403, 407), nobody there (404, 405, 410, 421). Any other 4xx speaks of a message:
    `Refused`.
    """
    if 200 <= status < 300:
        return None
    said = f"{place} answers {_named(status)}"
    if 300 <= status < 400:
        target = place_of(headers.get("location", "")) or "elsewhere"
        why = f"{said} and redirects to {target}: put the final address into url"
        return SinkUnavailable(sink, why)
    if status in _CREDENTIALS:
        return SinkUnavailable(sink, f"{said}: check headers and secret")
    if status in _NOBODY:
        return SinkUnavailable(sink, f"{said}: nobody takes messages there: check url")
    if status in _LATER or status >= 500 or status < 200:
        pause_s = _pause_s(headers.get("retry-after", ""), now_s)
        if pause_s is None:
            return SinkUnavailable(sink, said)
        return Backpressure(sink, said, pause_s)
    return Refused(said)


def place_of(url: str) -> str:
    """Scheme, host and port of an address; nothing else of it, for a path or query may hold a
    token. Empty where it names no host."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host else ""


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _pause_s(retry_after: str, now_s: float) -> float | None:
    """Seconds, or an HTTP date; None where it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_PAUSE_S)
    try:
        at_s = email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
    return min(max(at_s - now_s, 0.0), _LONGEST_PAUSE_S)
