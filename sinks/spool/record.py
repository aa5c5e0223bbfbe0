"""One message as a row of a segment, with a checksum over all of it."""

from typing import Final, cast
from zlib import crc32

from pipeline.core.messages import Kind
from sinks.base import Outgoing

Row = tuple[int, int, str, str, str, bytes]
"""Number, CRC-32, kind, key, message id, body."""
ReadRow = tuple[object, ...]
"""The same from disk, where damage may have made anything of it; text is bytes."""

TABLE: Final = (
    "CREATE TABLE record (number INTEGER PRIMARY KEY, crc INTEGER, kind TEXT, key TEXT,"
    " message_id TEXT, body BLOB)"
)
INSERT: Final = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)"
SELECT: Final = "SELECT * FROM record WHERE number > ? ORDER BY number LIMIT ?"


def row_of(message: Outgoing) -> Row:
    """The row that is stored of a message."""
    number, kind, key = message.number, message.kind, message.key
    message_id, body = message.message_id, message.body
    head = f"{number}\x1f{kind}\x1f{key}\x1f{message_id}\x1f"
    return number, crc32(body, crc32(head.encode())), kind, key, message_id, body


def message_of(row: ReadRow) -> Outgoing | None:
    """The message of a stored row; None where one byte of it differs from what was stored."""
    match row:
        case (
            int(number),
            int(crc),
            bytes(kind),
            bytes(key),
            bytes(message_id),
            bytes(body),
        ) if crc == crc32(
            body, crc32(b"%d\x1f%b\x1f%b\x1f%b\x1f" % (number, kind, key, message_id))
        ):
            known = cast(Kind, kind.decode())  # the checksum says that these bytes were written
            return Outgoing(known, key.decode(), message_id.decode(), body, number)
    return None
