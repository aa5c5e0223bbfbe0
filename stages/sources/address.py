"""Camera addresses: credentials encoded exactly once, and a form that is safe to show."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

SCHEMES = ("rtsp", "rtsps")
_SECRET_IN_PATH = re.compile(r"(?i)\b(user(?:name)?|pass(?:word)?|pwd|token|auth)=[^&/;]*")


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """`url` opens the camera and holds the password; `shown` is for people and logs."""

    url: str
    shown: str
    host: str

    def __repr__(self) -> str:
        return f"CameraAddress({self.shown!r})"

    @classmethod
    def parse(cls, url: str, user: str | None = None, password: str | None = None) -> Self:
        """Put `user` and `password`, as people type them, into `url`; they replace any in it.

        Raises `ValueError`, without the address in its text, if it is no rtsp:// or rtsps:// one.
        """
        try:
            parts = urlsplit(url)
        except ValueError:  # its text may hold the password
            raise ValueError("the address has no valid host and port") from None
        scheme = parts.scheme.lower()
        if scheme not in SCHEMES:
            raise ValueError("a camera's address starts with rtsp:// or rtsps://")
        given, _, place = parts.netloc.rpartition("@")
        if not place.strip(":") or not _port_is_valid(place):
            raise ValueError(
                "the address has no valid host and port; if a password in it has special"
                " characters, give user and password as fields of their own"
            )
        login = _login(given, user, password)
        path = _SECRET_IN_PATH.sub(r"\1=***", parts.path)
        return cls(
            url=urlunsplit((scheme, f"{login}{place}", parts.path, parts.query, parts.fragment)),
            shown=urlunsplit((scheme, place, path, "***" if parts.query else "", "")),
            host=place,
        )


def _login(given: str, user: str | None, password: str | None) -> str:
    """`user:password@`, each percent-encoded once whether or not it came encoded in the address."""
    old_user, _, old_password = given.partition(":")
    name = user if user is not None else unquote(old_user)
    secret = password if password is not None else unquote(old_password)
    if not name and not secret:
        return ""
    return f"{quote(name, safe='')}:{quote(secret, safe='')}@"


def _port_is_valid(place: str) -> bool:
    try:
        return urlsplit(f"//{place}").port != 0
    except ValueError:
        return False
