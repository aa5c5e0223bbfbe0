"""Records out of a damaged SQLite file, page by page, without its tree.

Every leaf page of a table holds whole rows (or their beginning, and where they go on), so a byte
that is wrong in the header or in an inner page costs nothing here, and one in a leaf page at most
the records of that page. What a page really holds is for the checksum of each record to say.

Source: "Database File Format", sections 1.6 and 2.1, https://sqlite.org/fileformat.html
"""

from collections.abc import Iterator
from typing import Final

from sinks.base import Outgoing
from sinks.spool.record import ReadRow, message_of

PAGE_BYTES: Final = 4096
_LEAF: Final = 0x0D
_LEAF_HEADER_BYTES: Final = 8
_MOST_LOCAL: Final = PAGE_BYTES - 35
_LEAST_LOCAL: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
_INTEGER_BYTES: Final = (0, 1, 2, 3, 4, 6, 8)
_BROKEN: Final = (IndexError, ValueError, OverflowError)


def salvage(data: bytes) -> dict[int, Outgoing]:
    """Find all whole records of a file with the content `data`, by number."""
    found: dict[int, Outgoing] = {}
    for start in range(PAGE_BYTES, len(data) - PAGE_BYTES + 1, PAGE_BYTES):
        if data[start] == _LEAF:
            for row in _rows(data, start):
                message = message_of(row)
                if message is not None:
                    found[message.number] = message
    return found


def _rows(data: bytes, start: int) -> Iterator[ReadRow]:
    """What the leaf page at `start` seems to hold."""
    page = data[start : start + PAGE_BYTES]
    for cell in range(int.from_bytes(page[3:5], "big")):
        at = _LEAF_HEADER_BYTES + 2 * cell
        if at + 2 > PAGE_BYTES:
            return
        try:
            yield _row(data, page, int.from_bytes(page[at : at + 2], "big"))
        except _BROKEN:
            continue  # one of the records that the damage costs


def _row(data: bytes, page: bytes, at: int) -> ReadRow:
    size, at = _varint(page, at)
    number, at = _varint(page, at)
    payload = _payload(data, page, at, size)
    header_bytes, head = _varint(payload, 0)
    at, values = header_bytes, list[object]()
    while head < header_bytes:
        kind, head = _varint(payload, head)
        value, at = _value(payload, at, kind)
        values.append(value)
    return number, *values[1:]  # the row id stands for the first column


def _payload(data: bytes, page: bytes, at: int, size: int) -> bytes:
    """The bytes of a row, from its page and the overflow pages behind it."""
    if size > len(data):
        raise ValueError(f"a record of {size} bytes in a file of {len(data)}")
    if size <= _MOST_LOCAL:
        return page[at : at + size]
    local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (PAGE_BYTES - 4)
    if local > _MOST_LOCAL:
        local = _LEAST_LOCAL
    parts, left = [page[at : at + local]], size - local
    following = int.from_bytes(page[at + local : at + local + 4], "big")
    while left > 0:
        start = (following - 1) * PAGE_BYTES
        if not 0 < start <= len(data) - PAGE_BYTES:
            raise ValueError(f"no page {following}")
        parts.append(data[start + 4 : start + 4 + min(left, PAGE_BYTES - 4)])
        left -= PAGE_BYTES - 4
        following = int.from_bytes(data[start : start + 4], "big")
    return b"".join(parts)


def _value(payload: bytes, at: int, kind: int) -> tuple[object, int]:
    """A column of serial type `kind`, and where the next one begins."""
    if kind >= 12:
        end = at + (kind - 12) // 2
        return payload[at:end], end
    if kind in (8, 9):
        return kind - 8, at
    if kind == 7:
        raise ValueError("a floating point number, where none was written")
    end = at + _INTEGER_BYTES[kind]
    return int.from_bytes(payload[at:end], "big", signed=True), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends."""
    number = 0
    for place in range(at, at + 8):
        number = number << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return number, place + 1
    return number << 8 | data[at + 8], at + 9
