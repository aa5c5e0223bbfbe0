"""The part of a message that proving completeness needs, parsed without the rest in some
microseconds."""

from typing import Final

import msgspec

from sinks.consume.bodies import AVRO_MARK


class _Producer(msgspec.Struct, gc=False):
    run_id: str


class Glance(msgspec.Struct, gc=False):
    """The envelope of any message, and the account of those that carry one."""

    kind: str
    message_id: str
    stream_id: str
    epoch: int
    seq: int
    producer: _Producer
    dropped_since_last: dict[str, int] = {}
    decoded: int = 0
    published: int = 0
    dropped: dict[str, int] = {}
    messages: dict[str, int] = {}
    status: str = ""
    condition: str | None = None


_DECODER: Final = msgspec.json.Decoder(Glance)
_VARYING: Final = (b'"published_at":"', b'"arrived_at":"', b'"instance":"')


def glance(body: bytes) -> Glance:
    """Parse this part of a body. Raises `ValueError`, of which msgspec's and pydantic's errors are
    kinds."""
    try:
        return _DECODER.decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def as_json(body: bytes) -> bytes:
    """The body in JSON, whatever its encoding. Raises `ValueError`."""
    if body.startswith(AVRO_MARK):
        from pipeline.core.avro import read_avro

        return read_avro(body).model_dump_json(by_alias=True).encode()
    return body


def fingerprint(body: bytes) -> int:
    """A hash of 64 bits, never 0, of a message without what a repetition of the run changes:
    `published_at`, `arrived_at` and `producer.instance`. Comparable within a process."""
    for mark in _VARYING:
        start = body.find(mark)
        if start >= 0:
            start += len(mark)
            body = body[:start] + body[body.find(b'"', start) :]
    return hash(body) or 1
