"""A message as a Kafka record."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from pipeline.core.errors import Rejected
from pipeline.core.messages import SCHEMA
from sinks.base import Outgoing
from sinks.kafka.client import Record

_SCHEMA = ("schema", SCHEMA.encode())


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding of bodies: `encode` gets the JSON body, and raises `ValueError` where it
    cannot."""

    content_type: bytes
    encode: Callable[[bytes], bytes]

    @classmethod
    def json(cls) -> "Encoding":
        """The encoding that leaves bodies as they are, in JSON."""
        return cls(b"application/json", bytes)

    @classmethod
    def avro(cls, sink: str) -> "Encoding":
        """The encoding in Avro's single-object form. Raises `Rejected` without the package for
        it."""
        from pipeline.core.avro import CONTENT_TYPE, encode_avro

        if find_spec("fastavro") is None:
            raise Rejected(sink, "format avro needs fastavro: pip install 'eyrie[avro]'")
        return cls(CONTENT_TYPE.encode(), encode_avro)


def to_record(message: Outgoing, topic: str, encoding: Encoding) -> Record:
    """The key is the stream id. Raises `ValueError` for a body that cannot be encoded."""
    headers = [
        _SCHEMA,
        ("content-type", encoding.content_type),
        ("kind", message.kind.encode()),
        ("message-id", message.message_id.encode()),
        ("traceparent", traceparent(message.message_id)),
    ]
    value = encoding.encode(message.body)
    return Record(message.message_id, topic, message.key.encode(), value, headers)


def traceparent(message_id: str) -> bytes:
    """W3C Trace Context, level 1, the same for every retry: the trace is the message, by its id of
    32 hex digits, which is a hash of the run and of the message's place in it; the parent is its
    second half."""
    return b"00-%b-%b-01" % (message_id.encode(), message_id[16:].encode())
