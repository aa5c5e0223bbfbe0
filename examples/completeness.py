"""What a consumer needs to prove that it has every message, and each of them once."""

from collections import OrderedDict
from dataclasses import dataclass

from pipeline.core.messages import EndOfStreamMessage, FrameMessage, Message, OtherMessage


@dataclass(slots=True)
class Ledger:
    """The account of one stream of one run, in whatever order its messages arrive.

    Every decoded frame is told: by a frame message, or in a later one's `dropped_since_last`. So
    `highest - base + 1 = frames + dropped` holds exactly when nothing is missing up to `highest`.
    """

    base: int | None = None
    """First frame that this consumer can know of: 0 unless it began in the middle."""
    highest: int = -1
    frames: int = 0
    dropped: int = 0
    end: EndOfStreamMessage | None = None

    def add(self, message: Message | OtherMessage) -> None:
        """Count a message that is no duplicate."""
        if isinstance(message, EndOfStreamMessage):
            self.end = message
        elif isinstance(message, FrameMessage):
            before = sum(message.dropped_since_last.values())
            if self.base is None:
                self.base = message.seq - before
            self.frames += 1
            self.dropped += before
            self.highest = max(self.highest, message.seq)

    @property
    def missing(self) -> int:
        """Frames that are neither here nor told as dropped: 0 when all is well."""
        if self.end is not None and self.base in (None, 0):
            return self.end.published - self.frames
        if self.base is None:
            return 0
        return self.highest - self.base + 1 - self.frames - self.dropped


class Inventory:
    """Ledgers of all streams, and the ids of the last `most_ids` messages against duplicates."""

    def __init__(self, most_ids: int = 1_000_000) -> None:
        self.ledgers: dict[tuple[str, str], Ledger] = {}
        """By (run id, stream id): numbers start anew with every run."""
        self.duplicates = 0
        self._most_ids = most_ids
        self._seen: OrderedDict[str, None] = OrderedDict()

    def take(self, message: Message | OtherMessage) -> bool:
        """Count a message. False: it is a duplicate, to be ignored."""
        if message.message_id in self._seen:
            self.duplicates += 1
            return False
        self._seen[message.message_id] = None
        if len(self._seen) > self._most_ids:
            self._seen.popitem(last=False)
        key = (message.producer.run_id, message.stream_id)
        self.ledgers.setdefault(key, Ledger()).add(message)
        return True

    def lines(self) -> list[str]:
        """The account as text, one line per stream."""
        return [
            f"{stream_id} (run {run_id}): {ledger.frames} frames, {ledger.dropped} told as "
            f"dropped, {ledger.missing} missing, {'ended' if ledger.end else 'not ended'}"
            for (run_id, stream_id), ledger in self.ledgers.items()
        ] + [f"{self.duplicates} duplicates removed"]
