"""A sink that forgets, for benchmarks: what the pipeline can do when nothing holds it back."""

from collections import Counter
from collections.abc import Sequence

from pipeline.core.errors import SinkUnavailable
from pipeline.core.messages import Kind
from sinks.base import Outgoing


class BlackholeSink:
    """A `Sink` that counts messages and drops them."""

    def __init__(self, name: str = "blackhole") -> None:
        self.name = name
        self.delivered_total = 0
        self.bytes_total = 0
        self.by_kind: Counter[Kind] = Counter()
        self._is_open = False

    def open(self) -> None:
        self._is_open = True

    def write(self, messages: Sequence[Outgoing]) -> None:
        if not self._is_open:
            raise SinkUnavailable(self.name, "is not open")
        self.delivered_total += len(messages)
        self.bytes_total += sum(len(message.body) for message in messages)
        self.by_kind.update(message.kind for message in messages)

    def flush(self, timeout_s: float) -> None:
        """Return at once, as there is nothing to wait for; see `Sink.flush`."""

    def close(self) -> None:
        self._is_open = False
