"""The consumer: messages as an asynchronous iteration."""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

from pydantic import ValidationError

from pipeline.core.backoff import Backoff
from pipeline.core.errors import EyrieError
from pipeline.core.log import get_logger, one_line
from sinks.consume.address import parse_address
from sinks.consume.base import Begin, ConsumeUnavailable, Reader, Reading, Record
from sinks.consume.bodies import read_body
from sinks.consume.memory import Gap, Memory, Read
from sinks.consume.open_reader import make_reader

log = get_logger(__name__)

_T = TypeVar("_T")
_READ_S = 0.5
_LONGEST_PAUSE_S = 10.0
_ACKNOWLEDGE_EVERY_S = 1.0
_TOLD_AT_ONCE = 10
"""The first bodies that are no message, each of which is logged; after that, one a second."""


@dataclass(slots=True)
class Account:
    """The counts of what a consumer has met so far, gaps not counted: `read = yielded + duplicates
    + invalid + too_early`, the last published before `begin`."""

    read: int = 0
    yielded: int = 0
    duplicates: int = 0
    invalid: int = 0
    too_early: int = 0
    gaps: int = 0


class Consumer:
    """`async for` gives every message once, and a `Gap` where some are missing.

    A message counts as done when the next one is asked for. What is done is acknowledged to the
    group about once a second, when the batch that came together is through, and at the end. So
    after a crash, a break or a cancellation, the message in hand and what is not acknowledged yet
    come again: at least once.

    Blocking work is done in a thread of its own, only when messages are asked for: a consumer that
    is slow makes the broker wait. Once connected, a broker that goes away is tried again for ever,
    which is logged once; the first connection must succeed, unless `wait_at_start`. A body that is
    no message is skipped, counted, given to `on_invalid`, and logged: the first ten, then at most
    one a second.

    Iterate once. `aclose`, leaving `async with`, or dropping the iterator gives all back.
    """

    def __init__(
        self,
        reader: Reader,
        follow: bool,
        on_invalid: Callable[[Record, str], None] | None,
        since: datetime | None = None,
        wait_at_start: bool = False,
    ) -> None:
        self.account = Account()
        self._reader, self._follow, self._on_invalid = reader, follow, on_invalid
        self._since = since
        self._memory = Memory()
        self._thread = ThreadPoolExecutor(1, "eyrie consume")
        # Weak: a loop that is left by `break` drops its iteration, which then ends at once.
        self._iteration: weakref.ref[AsyncGenerator[Read | Gap, None]] | None = None
        self._is_open = False
        self._waits = wait_at_start
        """Whether a broker that is away is waited for."""
        self._done: list[Record] = []
        self._acknowledged_s = self._refused_s = monotonic()
        self._ending: asyncio.Future[None] | None = None
        self._backoff = Backoff(first_s=0.2, longest_s=_LONGEST_PAUSE_S)

    @property
    def connected(self) -> bool:
        """True while there is a connection, or an open file."""
        return self._is_open

    def __aiter__(self) -> AsyncGenerator[Read | Gap, None]:
        if self._iteration is not None:
            raise RuntimeError("a consumer can be iterated once")
        iteration = self._iterate()
        self._iteration = weakref.ref(iteration)
        return iteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the iteration and close the connection. Idempotent."""
        iteration = self._iteration() if self._iteration is not None else None
        if iteration is not None:
            await iteration.aclose()
        await self._end()

    async def _iterate(self) -> AsyncGenerator[Read | Gap, None]:
        try:
            while True:
                records = await self._steadily(lambda: self._reader.read(_READ_S))
                for record in records:
                    for found in self._take(record):
                        yield found
                    self._done.append(record)
                    if monotonic() > self._acknowledged_s + _ACKNOWLEDGE_EVERY_S:
                        await self._acknowledge()
                await self._acknowledge()
                if not records and not self._follow and self._reader.exhausted:
                    return
        finally:
            await self._end()

    async def _acknowledge(self) -> None:
        if self._done:
            await self._steadily(lambda: self._reader.acknowledge(self._done))
            self._done.clear()
        self._acknowledged_s = monotonic()

    def _take(self, record: Record) -> list[Read | Gap]:
        self.account.read += 1
        try:
            message = read_body(record.body)
        except ValidationError as error:
            self._refuse(record, error)
            return []
        if self._since is not None and message.published_at < self._since:
            self.account.too_early += 1
            return []
        new, gap = self._memory.take(message)
        self.account.yielded += new
        self.account.duplicates += not new
        self.account.gaps += gap is not None
        found: list[Read | Gap] = [] if gap is None else [gap]
        return [*found, message] if new else found

    def _refuse(self, record: Record, error: ValidationError) -> None:
        first = error.errors(include_url=False, include_input=False)[0]
        why = one_line(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}")
        self.account.invalid += 1
        count = self.account.invalid
        if count <= _TOLD_AT_ONCE or monotonic() > self._refused_s + 1:
            log.warning("%s: no message, skipped (%d so far): %s", record.place, count, why)
            self._refused_s = monotonic()
        if self._on_invalid is not None:
            self._on_invalid(record, why)

    async def _steadily(self, work: Callable[[], _T]) -> _T:
        """Do it in the thread, over a new connection where there is none, until it works."""
        while True:
            try:
                if not self._is_open:
                    await self._in_thread(self._reader.open)
                    self._is_open = self._waits = True
                result = await self._in_thread(work)
            except ConsumeUnavailable as error:
                if not self._waits:
                    raise
                await self._pause(error)
            else:
                if self._backoff.failures:
                    log.info("%s: is there again", self._reader.where)
                self._backoff.succeed()
                return result

    async def _pause(self, error: ConsumeUnavailable) -> None:
        self._is_open = False
        await self._in_thread(self._reader.close)
        pause_s = self._backoff.pause_s()
        if self._backoff.failures == 1:
            log.warning("%s; trying again until it is there", error)
        await asyncio.sleep(pause_s)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _end(self) -> None:
        """Acknowledge what is done and close, once, in the thread: after what it may still do."""
        if self._ending is None:
            loop = asyncio.get_running_loop()
            self._ending = loop.run_in_executor(self._thread, self._close)
            self._thread.shutdown(wait=False)
        await asyncio.shield(self._ending)

    def _close(self) -> None:
        try:
            if self._done and self._is_open:
                self._reader.acknowledge(self._done)
        except EyrieError as error:
            log.warning("%s; %d messages will come again", error, len(self._done))
        finally:
            self._is_open = False
            self._reader.close()


def consume(
    url: str,
    group: str | None = None,
    *,
    begin: Begin = "oldest",
    follow: bool = True,
    password: str | None = None,
    consumer: str | None = None,
    timeout_s: float = 10.0,
    on_invalid: Callable[[Record, str], None] | None = None,
    wait_at_start: bool = False,
) -> Consumer:
    """Messages from `kafka://HOST:PORT/TOPIC`, `redis://HOST:PORT/DB?stream=NAME` or
    `file:PATH.jsonl`, as `async for message in consume(url, group="mine")`.

    - `group`: resumes where this group was; see `Reading`. `begin` is for a group that is new, or
      for no group.
    - `follow=False` ends when all that was there at the start has been read.
    - `password` goes with a user in the address. `consumer` is the member's name in a Redis group.
    - `timeout_s` bounds a connect and an answer.
    - `wait_at_start`: a broker that is not there at the start is waited for, too.

    Yields `FrameMessage` and the other models of `pipeline.core.messages`, `OtherMessage` for kinds
    of later versions, and `Gap`. Raises `ConfigError` for an address that is none, and while
    iterating `ConsumeError` for what no retry helps, such as a wrong password or topic, and
    `ConsumeUnavailable` where the first connection fails.
    """
    reading = Reading(group, begin, follow, password, consumer, timeout_s)
    since = begin if group is None and isinstance(begin, datetime) else None
    reader = make_reader(parse_address(url), reading)
    return Consumer(reader, follow, on_invalid, since, wait_at_start)
