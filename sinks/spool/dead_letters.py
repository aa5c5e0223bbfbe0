"""Messages that the receiver refused for ever, one JSON object a line, for people to look at."""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from pipeline.core.clock import utc_text
from pipeline.core.log import redact
from pipeline.core.messages import Kind
from sinks.base import Outgoing

FILE_NAME: Final = "dead_letters.jsonl"
_KINDS: Final = frozenset(get_args(Kind))


def write_dead_letters(
    folder: Path, messages: Sequence[Outgoing], reason: str, at_ns: int, sync: bool
) -> None:
    """Append `{at, reason, number, kind, key, message_id, body}`: `at` UTC, `body` the text of the
    message, or `{"base64": …}` where it is no UTF-8. All of it or nothing; raises `OSError`."""
    why, at = redact(reason), utc_text(at_ns)
    lines = "".join(_line(message, why, at) for message in messages).encode()
    file = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(file).st_size
        cut_off = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        try:
            _write_all(file, b"\n" * cut_off + lines)
        except OSError:
            os.ftruncate(file, size)
            raise
        if sync:
            os.fsync(file)
    finally:
        os.close(file)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One line of the file. `message` has no number: what it had is settled."""

    at: str
    reason: str
    message: Outgoing


def parse_dead_letter(line: bytes) -> DeadLetter | None:
    """Parse a dead letter; None where it is no line that `write_dead_letters` has written."""
    try:
        told = json.loads(line)
        body = told["body"]
        found = body.encode() if isinstance(body, str) else b64decode(body["base64"], validate=True)
        words = told["at"], told["reason"], told["kind"], told["key"], told["message_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    at, reason, kind, key, message_id = words
    if not all(isinstance(word, str) for word in words) or kind not in _KINDS:
        return None
    return DeadLetter(at, reason, Outgoing(kind, key, message_id, found))


def _line(message: Outgoing, reason: str, at: str) -> str:
    try:
        body: object = message.body.decode()
    except UnicodeDecodeError:
        body = {"base64": b64encode(message.body).decode()}
    told = {
        "at": at,
        "reason": reason,
        "number": message.number,
        "kind": message.kind,
        "key": message.key,
        "message_id": message.message_id,
        "body": body,
    }
    return json.dumps(told, ensure_ascii=False) + "\n"


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
