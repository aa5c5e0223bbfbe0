"""Logging: one logger per package, levels as law, secrets taken out of addresses.

INFO: an action succeeded. WARNING: unexpected, nothing lost. ERROR: data lost, or an operator
must act.
"""

import logging
import re

_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s]*@", re.IGNORECASE)


_CAMERA_QUERY = re.compile(r"(?P<address>rtsps?://[^\s?'\"]*)\?(?!\*\*\*)[^\s'\"]*", re.IGNORECASE)


def redact(text: str) -> str:
    """Replace `user:password@` of every address in the text by `***@`, and what follows the `?` in
    a camera's, for many take the password there."""
    return _CAMERA_QUERY.sub(r"\g<address>?***", _CREDENTIALS.sub(r"\g<scheme>***@", text))


def one_line(text: str) -> str:
    """The text on one line of valid UTF-8: what does not print, such as a line break or a byte of
    a file name that is no text, is escaped as Python writes it."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def counted(count: int, one: str, many: str = "") -> str:
    """The number and its noun, as `1 box`, `2 boxes`. `many` is `one` with an s by default."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def get_logger(name: str) -> logging.Logger:
    """The logger of a module; call with `__name__`."""
    return logging.getLogger(f"eyrie.{name}")
