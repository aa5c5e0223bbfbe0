"""File names from stream ids: one rule for every sink that writes files."""

import hashlib
import re
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_LONGEST = 100
STREAM_ID = "{stream_id}"


def file_stem(stream_id: str) -> str:
    """The stream id as a part of a file name.

    ASCII letters, digits, `.`, `_` and `-` stay, every other character becomes `_`, and so does a
    leading dot; 100 characters are kept. An id that this changes gets `-` and 8 hex digits of its
    BLAKE2b sum at its end, so two streams never share a file.
    """
    safe = _UNSAFE.sub("_", stream_id)[:_LONGEST]
    if safe.startswith("."):
        safe = "_" + safe[1:]
    if safe == stream_id:
        return safe
    return f"{safe}-{hashlib.blake2b(stream_id.encode(), digest_size=4).hexdigest()}"


def check_template(template: str) -> None:
    """Raise `ValueError` for a placeholder other than `{stream_id}`."""
    unknown = [found for found in _PLACEHOLDER.findall(template) if found != STREAM_ID]
    if unknown:
        raise ValueError(f"{template!r}: unknown placeholder {unknown[0]}, use {STREAM_ID}")


def path_for(template: str, stream_id: str) -> Path:
    """The file of a stream: `{stream_id}` in the template replaced by `file_stem`."""
    return Path(template.replace(STREAM_ID, file_stem(stream_id)))


def fixed_folder(template: str) -> Path:
    """The deepest folder above the file that is the same for all streams."""
    head = template.split(STREAM_ID, maxsplit=1)[0]
    return Path(head + "_").parent
