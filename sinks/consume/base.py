"""The contract of readers, which read messages back. A reader retries nothing and has no thread of
its own; `Consumer` and `eyrie verify` decide what a failure means."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from pipeline.core.errors import EyrieError

Begin = Literal["oldest", "newest"] | datetime
"""The point where reading begins when a group has no place yet: what is still held, only what comes
from now on, or what was published at this time and later; readers may begin before that."""


class ConsumeError(EyrieError):
    """Messages cannot be read from `where`; trying again gives the same answer."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")


class ConsumeUnavailable(ConsumeError):
    """The broker cannot be reached now."""


class Record(NamedTuple):
    """One message as it lies there: `body` is JSON or Avro, `offset` its place in `source`, which
    is a partition, a Redis stream or a file."""

    body: bytes
    source: str
    offset: int | str

    @property
    def place(self) -> str:
        """The place of the record for people: what to look up."""
        return f"{self.source} at {self.offset}"


@dataclass(frozen=True, slots=True)
class Reading:
    """The way of reading. `group`: the name under which the place is kept; None keeps none, and
    begins at `begin` each time. `follow`: go on behind what was there at `open`. `password` and the
    user of the address log in."""

    group: str | None = None
    begin: Begin = "oldest"
    follow: bool = True
    password: str | None = None
    consumer: str | None = None
    timeout_s: float = 10.0


class Reader(Protocol):
    """A reader of one address. Life: `open`, any number of `read` and `acknowledge`, `close`; then
    perhaps `open` again. One thread at a time. All but `close` raise `ConsumeUnavailable`, or
    `ConsumeError`."""

    where: str
    """The address, for people; holds no secret."""

    def open(self) -> None:
        """Connect, and find the place. Blocks for at most `timeout_s`."""

    def read(self, within_s: float) -> list[Record]:
        """The next records, at most some hundreds, of each source in order; empty when none came
        within the time."""

    @property
    def exhausted(self) -> bool:
        """True once all that was there at `open` has been read."""

    def acknowledge(self, records: Iterable[Record]) -> None:
        """Mark these records as done: the group does not get them again. Without a group,
        nothing."""

    def close(self) -> None:
        """Let go of the connection or file. Idempotent; keeps no place by itself."""
