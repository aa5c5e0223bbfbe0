"""The contracts of sinks. A sink retries nothing: an outlet calls it, from one thread at a time,
and repeats what may be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.arrays import U8
from pipeline.core.frame import FrameInfo
from pipeline.core.frame_record import AnyMessage, to_json
from pipeline.core.messages import Kind


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message encoded once for all sinks. `body` is UTF-8 JSON; `key`, by which order is kept, is
    the stream id. `number` is its place in the sink's spool: from 1, rising by one, and the same
    when it comes again after a restart; 0 where nothing is spooled. `spool` is the identity under
    which it was numbered: every run has another, so that equal numbers of a copied spool, or of one
    that was put back to an earlier state, are different messages."""

    kind: Kind
    key: str
    message_id: str
    body: bytes
    number: int = 0
    spool: str = ""

    @classmethod
    def of(cls, message: AnyMessage) -> "Outgoing":
        """Encode a message."""
        return cls(message.kind, message.stream_id, message.message_id, to_json(message))


class Sink(Protocol):
    """A receiver of messages: a broker, an endpoint, files.

    Life: `open`, any number of `write` and `flush`, `close`. One thread at a time.
    """

    name: str
    """The name of this sink in logs and errors; never holds a secret."""

    def open(self) -> None:
        """Connect and check rights, so that a wrong address fails at boot, not at the first frame.

        Blocks for at most the configured connect time. Raises `SinkUnavailable` or `Rejected`.
        """

    def write(self, messages: Sequence[Outgoing]) -> None:
        """Take messages, in order. May buffer and may block; raising means that not one of them was
        taken.

        Raises `Backpressure`, `SinkUnavailable` (try the same messages again), `Rejected`, or
        `SinkGone`, after which nothing is called but `close`. A `Rejected` that names messages by
        their ids refuses these for good, and the others are written again without them. One that
        names none refuses the sink itself, such as its password.
        """

    def flush(self, timeout_s: float) -> None:
        """Block until everything written so far is delivered. Raises `SinkUnavailable` when it is
        not within the time; the sink then keeps what is undelivered and a later flush tries again.
        Raises `Rejected` when the receiver refused messages for good and names them by their ids:
        these are let go, and the flush is to be called again for the others."""

    def close(self) -> None:
        """Let go of the connection or file. Does not flush. Idempotent. What it raises becomes an
        error of the run's report; all else is closed nevertheless."""


class PictureSink(Protocol):
    """A receiver of annotated pictures, with the life of a `Sink`."""

    name: str

    def open(self) -> None:
        """Check that the target can be written. Raises `SinkUnavailable`."""

    def write_picture(self, info: FrameInfo, image: U8) -> None:
        """Take one (H, W, 3) uint8 RGB picture of the stream `info.stream_id`; encodes, so blocks.

        Pictures of one stream come in order of `seq`. Raises `SinkUnavailable`, or `Rejected` for a
        second stream where the target holds only one.
        """

    def end_stream(self, stream_id: str) -> None:
        """Finish the file of a stream, of which no more pictures come. Idempotent; unknown ids are
        fine."""

    def close(self) -> None:
        """Finish all files. Idempotent. What it raises is treated as by `Sink.close`."""
