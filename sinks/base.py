"""The contracts of sinks. A sink holds no thread and no retry: the runner calls it from one thread
of its own and repeats what is retryable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.arrays import U8
from pipeline.core.frame import FrameInfo
from pipeline.core.frame_record import Told, to_json
from pipeline.core.messages import Kind


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message encoded once for all sinks. `body` is UTF-8 JSON; `key` orders messages: it is the
    stream id. `number` is its place in the spool of the sink that gets it: from 1, rising by one,
    and the same when it comes again after a restart; 0 where nothing is spooled. `spool` is the
    identity of that spool: one that is made anew has another, because its numbers start again."""

    kind: Kind
    key: str
    message_id: str
    body: bytes
    number: int = 0
    spool: str = ""

    @classmethod
    def of(cls, message: Told) -> "Outgoing":
        """Encode a message."""
        return cls(message.kind, message.stream_id, message.message_id, to_json(message))


class Sink(Protocol):
    """Where messages go.

    Life: `open`, any number of `write` and `flush`, `close`. One thread at a time.
    """

    name: str
    """How logs and errors call this sink; never holds a secret."""

    def open(self) -> None:
        """Connect and check rights, so that a wrong address fails at boot, not at the first frame.

        Blocks for at most the configured connect time. Raises `SinkUnavailable` or `Rejected`.
        """

    def write(self, messages: Sequence[Outgoing]) -> None:
        """Take messages, in order. May buffer. Raising means: not one of these was taken.

        Raises `Backpressure`, `SinkUnavailable` (try the same messages again), `Rejected`, or
        `SinkGone`, after which nothing is called but `close`. A `Rejected` that names messages by
        their ids refuses these for good, and the others are written again without them. One that
        names none refuses the sink itself, such as its password.
        """

    def flush(self, timeout_s: float) -> None:
        """Return when everything written so far is delivered. Raises `SinkUnavailable` when it is
        not within the time; the sink then keeps what is undelivered and a later flush tries again.
        Raises `Rejected` when the receiver refused messages for good and names them by their ids:
        these are let go, and the flush is to be called again for the others."""

    def close(self) -> None:
        """Let go of the connection or file. Does not flush. Idempotent."""


class PictureSink(Protocol):
    """Where annotated pictures go. Same life as a `Sink`."""

    name: str

    def open(self) -> None:
        """Check that the target can be written. Raises `SinkUnavailable`."""

    def write_picture(self, info: FrameInfo, image: U8) -> None:
        """Take one (H, W, 3) uint8 RGB picture of the stream `info.stream_id`; encodes, so blocks.

        Pictures of one stream come in order of `seq`. Raises `SinkUnavailable`, or `Rejected` for a
        second stream where the target holds only one.
        """

    def end_stream(self, stream_id: str) -> None:
        """No more pictures of this stream: finish its file. Idempotent; unknown ids are fine."""

    def close(self) -> None:
        """Finish all files. Idempotent."""
