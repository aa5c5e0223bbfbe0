"""The records that were appended last, in memory: a receiver that keeps up costs no reading."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from sinks.base import Outgoing

_MOST: Final = 4096
_MOST_BYTES: Final = 8 << 20


class Recent:
    """The newest messages of a spool, in the batches in which they came, without a gap up to the
    last one; about 4096 of them, or 8 MiB."""

    def __init__(self) -> None:
        self._batches: deque[tuple[Sequence[Outgoing], int]] = deque()
        self._count = self._bytes = 0

    def add(self, messages: Sequence[Outgoing]) -> None:
        """Add a batch, whose numbers follow those of the one before."""
        size_bytes = sum(len(message.body) for message in messages)
        self._batches.append((messages, size_bytes))
        self._count += len(messages)
        self._bytes += size_bytes
        while self._batches and (self._count > _MOST or self._bytes > _MOST_BYTES):
            self._drop()

    def read(self, after: int, limit: int) -> list[Outgoing]:
        """The records right behind `after`, at most `limit`; empty where that is not in memory."""
        if not self._batches or self._batches[0][0][0].number > after + 1:
            return []
        found: list[Outgoing] = []
        for messages, _ in self._batches:
            if after < messages[-1].number:
                start = after + 1 - messages[0].number
                found += messages[start : start + limit - len(found)]
                after = found[-1].number
            if len(found) == limit:
                break
        return found

    def forget(self, floor: int) -> None:
        """Batches whose numbers are all at most `floor` are read no more."""
        while self._batches and self._batches[0][0][-1].number <= floor:
            self._drop()

    def _drop(self) -> None:
        messages, size_bytes = self._batches.popleft()
        self._count -= len(messages)
        self._bytes -= size_bytes
