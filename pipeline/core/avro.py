"""The compact form of messages: Avro (1.12) in its single-object encoding.

    C3 01 | CRC-64-AVRO fingerprint of the writer's schema, 8 bytes | the message

Needs the extra `avro`. The schema is `pipeline.core.avro_schema`; its file is in `docs/schema/`.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from io import BytesIO
from typing import Any, Final

import msgspec

from pipeline.core.avro_schema import NAMESPACE, avro_schema
from pipeline.core.errors import EyrieError
from pipeline.core.frame_record import AnyMessage, to_json
from pipeline.core.messages import (
    MESSAGE_MODELS,
    Evidence,
    Message,
    OtherMessage,
    decode_record,
    read_record,
)

CONTENT_TYPE: Final = "application/vnd.apache.avro"
_MARKER: Final = b"\xc3\x01"
_HEAD_BYTES: Final = 10


def encode_avro(message: AnyMessage | bytes) -> bytes:
    """A message, or its JSON body, in the compact form; no number and no time loses precision.

    Raises `ValueError` for a body that is no message of this version, and `EyrieError` where
    fastavro is missing. Any thread.
    """
    return _default().encode(message)


def decode_avro(body: bytes) -> Message:
    """Read a message back, as `pipeline.core.messages.decode` does. Raises `ValueError` on what is
    not in this form, damaged, of a schema that is not known here, or off the contract."""
    return _default().decode(body)


def read_avro(body: bytes) -> Message | OtherMessage:
    """The same, as tolerant as `pipeline.core.messages.read`. For messages of a later version
    make an `AvroCodec` that knows its schema."""
    return _default().read(body)


class AvroCodec:
    """Messages to bytes by this version's schema, and back by this or another version's: `writers`
    are their schemas, as the JSON values of `.avsc` files. See the functions of the same names."""

    def __init__(self, writers: Sequence[Any] = ()) -> None:
        try:
            import fastavro
            from fastavro.types import Schema
        except ImportError as error:
            raise EyrieError(
                "the format avro needs fastavro, which is not installed: pip install 'eyrie[avro]'"
            ) from error
        self._write, self._read = fastavro.schemaless_writer, fastavro.schemaless_reader
        own = avro_schema()
        self._mark = fingerprint(own)
        self._schemas: dict[bytes, Schema] = {
            fingerprint(writer): fastavro.parse_schema(writer) for writer in (*writers, own)
        }

    def encode(self, message: AnyMessage | bytes) -> bytes:
        """See `encode_avro`."""
        body = message if isinstance(message, bytes) else to_json(message)
        out = BytesIO(_MARKER + self._mark)
        out.seek(_HEAD_BYTES)
        try:
            self._write(out, self._schemas[self._mark], _named(_parsed(body)))
        except (msgspec.DecodeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"no message of this version: {error}") from error
        return out.getvalue()

    def decode(self, body: bytes) -> Message:
        """See `decode_avro`."""
        return decode_record(self._record(body))

    def read(self, body: bytes) -> Message | OtherMessage:
        """See `read_avro`."""
        return read_record(self._record(body))

    def _record(self, body: bytes) -> dict[str, Any]:
        """Plain values by the schema of whoever wrote them; the models bring in what it lacks."""
        if body[:2] != _MARKER:
            raise ValueError(f"not an Avro message: it begins with {body[:2]!r}")
        mark = body[2:_HEAD_BYTES]
        if mark not in self._schemas:
            raise ValueError(f"Avro message of a schema that is not known here: {mark.hex()}")
        rest = BytesIO(body[_HEAD_BYTES:])
        try:
            record = self._read(rest, self._schemas[mark], None)
        except (ArithmeticError, EOFError, LookupError, ValueError) as error:
            raise ValueError(f"damaged Avro message: {type(error).__name__}") from error
        if not isinstance(record, dict) or rest.read(1):
            raise ValueError("damaged Avro message: it does not end where it should")
        return record


@cache
def _default() -> AvroCodec:
    return AvroCodec()


def fingerprint(schema: Any) -> bytes:
    """CRC-64-AVRO of the schema's parsing canonical form, 8 bytes, little-endian."""
    from fastavro.schema import fingerprint as hexadecimal
    from fastavro.schema import to_parsing_canonical_form

    return bytes.fromhex(hexadecimal(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


_parsed: Final = msgspec.json.Decoder(dict[str, Any]).decode


def _event(model: type[Message]) -> str | None:
    field = model.model_fields.get("event")
    return None if field is None else str(field.default)


_NAMES: Final = {
    (model.model_fields["kind"].default, _event(model)): f"{NAMESPACE}.{model.__name__}"
    for model in MESSAGE_MODELS
}
_TIMES: Final = {
    kind: [name for name in model.model_fields if name.endswith("_at")]
    for kind, model in zip(_NAMES, MESSAGE_MODELS, strict=True)
}


_EVIDENCE_TIMES: Final = [name for name in Evidence.model_fields if name.endswith("_at")]


def _named(record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A parsed JSON body with its times as such, and which record of the union it is."""
    what = (record.get("kind"), record.get("event"))
    if what not in _NAMES:
        raise ValueError(f"kind {what[0]!r}, event {what[1]!r}")
    _parse_times(record, _TIMES[what])
    for part in record.get("evidence") or ():
        _parse_times(part, _EVIDENCE_TIMES)
    return _NAMES[what], record


def _parse_times(record: dict[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if (text := record.get(name)) is not None:
            record[name] = datetime.fromisoformat(text)
