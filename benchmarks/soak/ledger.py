"""What a consumer of the messages can prove: the account of every stream at every frame."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.core.messages import (
    DropReason,
    EndOfStreamMessage,
    FrameMessage,
    StreamStatusMessage,
    decode,
)

MOST_SHOWN = 5


@dataclass(slots=True)
class StreamLedger:
    """One stream, from its messages alone.

    At every frame: `seq` + 1 pictures are decoded, and they must be the published frames and the
    drops that the messages have told. At the end, the stream's own account must say the same.
    """

    stream_id: str
    published: int = 0
    dropped: Counter[DropReason] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    """Frames at which the account was checked."""
    breaks: list[str] = field(default_factory=list)
    """Where it was wrong."""
    arrived: datetime | None = None
    """When the newest published picture came from the camera."""
    downs: list[tuple[float, str]] = field(default_factory=list)
    """When it told that it went down, and why."""
    backs: list[float] = field(default_factory=list)
    """For each of these, when the first frame after it came, but for the last ones."""
    end: EndOfStreamMessage | None = None

    def frame(self, message: FrameMessage, now_s: float) -> None:
        """A frame was published."""
        self.published += 1
        self.dropped.update(message.dropped_since_last)
        self.arrived = message.arrived_at
        self.checked += 1
        self._check(message.seq + 1, f"frame {message.seq}")
        self.backs += [now_s] * (len(self.downs) - len(self.backs))

    def ended(self, message: EndOfStreamMessage) -> None:
        """The stream is over: drops after its last frame are told only by its totals."""
        self.end = message
        told = Counter(message.dropped)
        if message.published != self.published:
            self.breaks.append(f"end: {message.published} published, {self.published} came")
        if any(told[reason] < count for reason, count in self.dropped.items()):
            self.breaks.append(f"end: drops {dict(told)}, told before {dict(self.dropped)}")
        self.dropped = told
        self._check(message.decoded, "end")

    def _check(self, decoded: int, where: str) -> None:
        accounted = self.published + self.dropped.total()
        if decoded != accounted and len(self.breaks) < MOST_SHOWN:
            drops = dict(self.dropped)
            self.breaks.append(
                f"{where}: decoded {decoded}, but published {self.published}, dropped {drops}"
            )


class Ledger:
    """All streams of a run."""

    def __init__(self) -> None:
        self.streams: dict[str, StreamLedger] = {}

    def take(self, line: bytes, now_s: float) -> None:
        """One message, at monotonic time `now_s`. Raises `pydantic.ValidationError` on anything
        else."""
        message = decode(line)
        stream = self.stream(message.stream_id)
        if isinstance(message, FrameMessage):
            stream.frame(message, now_s)
        elif isinstance(message, EndOfStreamMessage):
            stream.ended(message)
        elif isinstance(message, StreamStatusMessage):
            stream.statuses[message.status] += 1
            if message.status == "down":
                stream.downs.append((now_s, message.reason))

    def stream(self, stream_id: str) -> StreamLedger:
        """Of this id, also before its first message."""
        return self.streams.setdefault(stream_id, StreamLedger(stream_id))

    @property
    def breaks(self) -> list[str]:
        """Where the account of a stream was wrong; also where its end was never told."""
        found = [f"{s.stream_id}: {what}" for s in self.streams.values() for what in s.breaks]
        return found + [f"{s.stream_id}: no end" for s in self.streams.values() if s.end is None]
