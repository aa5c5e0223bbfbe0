"""The in-memory twin of every message sink, for tests and demos."""

from collections.abc import Iterator, Sequence

from pipeline.core.errors import SinkError, SinkUnavailable
from sinks.base import Outgoing


class MemorySink:
    """A `Sink` that keeps its messages in `messages`, oldest first.

    `failures` scripts its mishaps: each `write` takes the next item and raises it, taking nothing,
    unless it is None; after the last item every write succeeds.
    """

    def __init__(
        self, name: str = "memory", failures: Iterator[SinkError | None] | None = None
    ) -> None:
        self.name = name
        self.messages: list[Outgoing] = []
        self._failures = failures if failures is not None else iter(())
        self._is_open = False

    def open(self) -> None:
        self._is_open = True

    def write(self, messages: Sequence[Outgoing]) -> None:
        if not self._is_open:
            raise SinkUnavailable(self.name, "is not open")
        failure = next(self._failures, None)
        if failure is not None:
            raise failure
        self.messages.extend(messages)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`: everything is delivered at once."""

    def close(self) -> None:
        self._is_open = False

    @property
    def delivered_total(self) -> int:
        """Messages taken since this sink was made."""
        return len(self.messages)
