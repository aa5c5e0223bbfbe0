"""The window of messages that the broker has not confirmed, in the order in which the sink was
given them."""

from collections import deque
from collections.abc import Sequence

from sinks.kafka.client import Record, Tuning


class Window:
    """The messages of one sink: first `waiting` for the client, then `sent`, then, in a
    transaction, `uncommitted`. The order over all three is that of `take`; the oldest is at the
    left."""

    def __init__(self, tuning: Tuning) -> None:
        self.waiting: deque[Record] = deque()
        self.sent: deque[Record] = deque()
        self.uncommitted: deque[Record] = deque()
        self._bytes = 0
        self._most = tuning.most_pending
        self._most_bytes = tuning.most_pending_bytes

    def __len__(self) -> int:
        return len(self.waiting) + len(self.sent) + len(self.uncommitted)

    def has_room(self, records: Sequence[Record]) -> bool:
        """True if the window has room; an empty one has, for any number."""
        size = sum(len(record.value) for record in records)
        return not len(self) or (
            len(self) + len(records) <= self._most and self._bytes + size <= self._most_bytes
        )

    def take(self, records: Sequence[Record]) -> None:
        self.waiting.extend(records)
        self._bytes += sum(len(record.value) for record in records)

    def let_go(self, record: Record) -> None:
        """Count out a message that was taken out of a queue for good."""
        self._bytes -= len(record.value)

    def recall(self) -> None:
        """Let all messages wait again: none is sent or in a transaction any more."""
        for queue in (self.sent, self.uncommitted):
            self.waiting.extendleft(reversed(queue))
            queue.clear()

    def clear(self) -> None:
        for queue in (self.waiting, self.sent, self.uncommitted):
            queue.clear()
        self._bytes = 0


class SuspectMessages:
    """The search for the messages that a broker refuses. It answers for a batch, so every message
    of a refused batch is a suspect, and travels alone the next time. One that is refused alone is
    guilty."""

    def __init__(self) -> None:
        self._suspects: set[str] = set()
        self._refused: list[tuple[str, str]] = []

    def suspect(self, record: Record) -> None:
        self._suspects.add(record.message_id)

    def must_wait(self, record: Record, sent: Sequence[Record]) -> bool:
        """True if the message, or the last one on its way, travels alone."""
        return bool(sent) and not self._suspects.isdisjoint(
            (record.message_id, sent[-1].message_id)
        )

    def acquit(self, record: Record) -> bool:
        """Note that a message has arrived. True: so have all suspects, and none was guilty."""
        if record.message_id not in self._suspects:
            return False
        self._suspects.discard(record.message_id)
        return not self._suspects and not self._refused

    def condemn(self, record: Record, why: str) -> None:
        self._suspects.discard(record.message_id)
        self._refused.append((record.message_id, why))

    def take_refused(self) -> list[tuple[str, str]]:
        """Take the ids and reasons of the messages refused since the last time."""
        refused, self._refused = self._refused, []
        return refused

    def clear(self) -> None:
        self._suspects.clear()
        self._refused.clear()
