"""Bodies to messages, whatever their encoding."""

from typing import Final

from pipeline.core.messages import Message, OtherMessage, read

AVRO_MARK: Final = b"\xc3\x01"
"""Two bytes that begin Avro's single-object encoding; no JSON begins like that."""


def read_body(body: bytes) -> Message | OtherMessage:
    """A body in JSON or Avro -> its message, tolerant of what later minor versions add. Raises
    `pydantic.ValidationError` on anything off the contract."""
    if body.startswith(AVRO_MARK):
        from pipeline.core.avro import read_avro

        return read_avro(body)
    return read(body)
