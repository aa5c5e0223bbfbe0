"""Camera addresses: credentials encoded exactly once, and a form that is safe to show."""

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

SCHEMES = ("rtsp", "rtsps")
LONGEST_LOGIN: Final = 127
"""FFmpeg cuts `user:password`, percent-encoded, after so many characters, and does not say so."""
_SUB_DELIMITERS: Final = "!$&'()*+,;="  # need no escape in a login (RFC 3986, section 3.2.1)
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
    def parse(
        cls,
        url: str,
        user: str | None = None,
        password: str | None = None,
        schemes: tuple[str, str] = SCHEMES,
    ) -> Self:
        """Put `user` and `password`, as people type them, into `url`; they replace any in it.

        Raises `ValueError`, without the address and the credentials in its text, if it is
        of none of the `schemes`, or the credentials cannot be sent.
        """
        try:
            parts = urlsplit(url)
        except ValueError:  # its text may hold the password
            raise ValueError("the address has no valid host and port") from None
        scheme = parts.scheme.lower()
        if scheme not in schemes:
            either = " or ".join(f"{one}://" for one in schemes)
            raise ValueError(f"the address starts with {either}")
        given, _, place = parts.netloc.rpartition("@")
        if not place.strip(":") or not _place_is_valid(place):
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
    if ":" in name:
        raise ValueError("a user with a colon in it cannot be sent (RFC 7617, section 2)")
    if any(ord(char) < 32 or ord(char) == 127 for char in name + secret):
        raise ValueError("user and password must have no control characters such as line breaks")
    login = f"{quote(name, safe=_SUB_DELIMITERS)}:{quote(secret, safe=_SUB_DELIMITERS)}"
    if len(login) > LONGEST_LOGIN:
        raise ValueError(
            f"user and password take {len(login)} characters when encoded, and FFmpeg sends at most"
            f" {LONGEST_LOGIN}: choose a shorter password, or one with fewer special characters"
        )
    return f"{login}@"


def _place_is_valid(place: str) -> bool:
    try:
        return urlsplit(f"//{place}").port != 0 and " " not in place
    except ValueError:
        return False
