"""The memory of a consumer: enough to drop duplicates and to notice what is missing."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Literal

from pipeline.core.messages import EndOfStreamMessage, FrameMessage, Message, OtherMessage
from sinks.consume.intervals import Intervals

Read = Message | OtherMessage

MOST_STREAMS: Final = 10_000
MOST_RUNS_OF_SEQ: Final = 1_000
MOST_IDS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames `first_seq` to `last_seq` of a stream are missing: no message that has come tells of
    them, as analysed or as dropped. Given before the message that shows it, whose epoch is `epoch`.

    How many messages are missing is not known: those that are may have told some of these frames
    as dropped.
    """

    run_id: str
    stream_id: str
    epoch: int
    first_seq: int
    last_seq: int
    kind: Literal["gap"] = field(default="gap", init=False)

    @property
    def frames(self) -> int:
        """The number of decoded frames that nothing is known of."""
        return self.last_seq - self.first_seq + 1


@dataclass(slots=True)
class _Stream:
    """One stream of one run. Every frame message tells of itself and of those dropped before it,
    so `known` is one run of numbers as long as nothing is missing."""

    known: Intervals = field(default_factory=Intervals)
    frames: int = 0
    missing: int = 0
    from_start: bool = False


class Memory:
    """The memory of which `seq` of each (run, stream) are known, as runs of numbers: exact for
    frame messages, whatever their number, in the `MOST_RUNS_OF_SEQ` latest runs. Of all other kinds
    it remembers the last `MOST_IDS` ids. Of (run, stream) it keeps the `MOST_STREAMS` used last.
    What is forgotten would be taken for new; nothing new is ever taken for a duplicate."""

    def __init__(self) -> None:
        self.duplicates = 0
        self.gaps = 0
        self._streams: OrderedDict[tuple[str, str], _Stream] = OrderedDict()
        self._ids: OrderedDict[str, None] = OrderedDict()

    def take(self, message: Read) -> tuple[bool, Gap | None]:
        """Take a message -> True if it is new, and the gap that it shows, or None."""
        stream = self._stream(message)
        if isinstance(message, FrameMessage):
            new, gap = self._frame(stream, message)
        else:
            new, gap = self._other(stream, message)
        self.duplicates += not new
        self.gaps += gap is not None
        return new, gap

    def _stream(self, message: Read) -> _Stream:
        key = message.producer.run_id, message.stream_id
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream()
            if len(self._streams) > MOST_STREAMS:
                self._streams.popitem(last=False)
        else:
            self._streams.move_to_end(key)
        return stream

    def _frame(self, stream: _Stream, message: FrameMessage) -> tuple[bool, Gap | None]:
        if message.seq in stream.known:
            return False, None
        first = message.seq - sum(message.dropped_since_last.values())
        highest = stream.known.highest
        gap = None
        if highest is None:
            stream.from_start = first <= 0
        elif first > highest + 1:
            gap = self._gap(stream, message, highest + 1, first - 1)
        stream.known.add(first, message.seq)
        stream.known.forget(MOST_RUNS_OF_SEQ)
        stream.frames += 1
        return True, gap

    def _other(self, stream: _Stream, message: Read) -> tuple[bool, Gap | None]:
        if message.message_id in self._ids:
            return False, None
        self._ids[message.message_id] = None
        if len(self._ids) > MOST_IDS:
            self._ids.popitem(last=False)
        if isinstance(message, EndOfStreamMessage) and stream.from_start:
            return True, self._tail(stream, message)
        return True, None

    def _tail(self, stream: _Stream, message: EndOfStreamMessage) -> Gap | None:
        """Frames behind the last message may have been dropped, or their messages are missing."""
        first = (stream.known.highest or 0) + 1
        lost = message.published - stream.frames > stream.missing
        if not lost or first >= message.decoded:
            return None
        return self._gap(stream, message, first, message.decoded - 1)

    def _gap(self, stream: _Stream, message: Read, first: int, last: int) -> Gap:
        stream.missing += last - first + 1
        return Gap(message.producer.run_id, message.stream_id, message.epoch, first, last)
