"""One stream of the running set: run in its thread, stopped, and its end told."""

import asyncio
import contextlib
from collections.abc import Callable

from pipeline.config import StreamConfig
from pipeline.core.errors import DownCause
from pipeline.run.flow import Flow
from pipeline.run.parts import StreamParts
from pipeline.run.route import Route
from pipeline.run.threads import ABANDON_AFTER_S, Threads
from pipeline.stream.changes import StreamChange, StreamDown, StreamEnded

_LOOK_EVERY_S = 0.02
"""The time between two looks at the account of a stream that is to end."""


class Member:
    """A `Stream` with its configuration, from its start to its end or to its replacement. All is
    for the loop's thread. Once `cut` is set nothing is published any more, and nothing waits."""

    def __init__(
        self,
        config: StreamConfig,
        parts: StreamParts,
        route: Route,
        flow: Flow,
        threads: Threads,
        cut: asyncio.Event,
    ) -> None:
        self.config, self.parts, self.stream = config, parts, route.stream
        self.paused = False
        self._report = route.composer.report
        self._flow, self._threads, self._cut = flow, threads, cut
        self._task: asyncio.Task[None] | None = None
        self._began = False
        self._end_told = False

    @property
    def over(self) -> bool:
        """True once the stream's end was told, by itself or by `tell_end`."""
        return self._end_told or self.stream.end_told

    @property
    def has_ended(self) -> bool:
        """True once the stream's end was published."""
        return self._report.ended

    @property
    def active(self) -> bool:
        """True while the stream's thread runs, or will."""
        return self._task is not None and not self._task.done()

    def run(
        self,
        group: asyncio.TaskGroup,
        files: asyncio.Semaphore,
        then: Callable[[object], object],
    ) -> None:
        """Run the stream as a task of the group; one that ends by itself waits for its turn in
        `files`."""
        self._task = group.create_task(self._live(files))
        self._task.add_done_callback(then)

    async def _live(self, files: asyncio.Semaphore) -> None:
        async with contextlib.nullcontext() if self.config.endless else files:
            self._began = True
            await self._threads.run(self._thread, self.stream.run)

    async def halt(self) -> None:
        """Stop the stream, until no more frames come and those that came are published or dropped.
        Its end is not told, unless it was before."""
        stream = self.stream
        stream.retire()
        if self._task is not None and not self._began:
            self._task.cancel()
            stream.abandon()
        await self.outlast()
        await self._until(lambda: self.has_ended if stream.end_told else stream.account.settled)
        self._flow.withdraw(stream.lane)
        if self._flow.has_failed(stream.id):
            await self.tell_end()

    async def outlast(self) -> None:
        """Wait until a stream that was told to stop ends, which takes a moment; one whose decoder
        hangs is ended for it after 2 s."""
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=ABANDON_AFTER_S)
        if not self._task.done():
            await asyncio.to_thread(self.stream.abandon)
            self._threads.abandon(self._thread)
            await asyncio.wait([self._task])

    async def tell_down(self, cause: DownCause, reason: str) -> None:
        """Tell that a stream is down, if it was halted and had not ended by itself."""
        if not self.over:
            stream = self.stream
            seq = stream.account.next_seq - 1
            await self._tell(StreamDown(stream.id, stream.epoch, seq, 0, reason, cause))

    async def tell_end(self) -> None:
        """Tell the stream's end, once, and wait until it is published."""
        self.paused = False
        if not self.over:
            self._end_told = True
            await self._tell(StreamEnded(self.stream.id, self.stream.epoch, None))
        await self._until(lambda: self.has_ended)

    async def _tell(self, change: StreamChange) -> None:
        await asyncio.to_thread(self._flow.tell, change)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not self._cut.is_set() and not condition():
            await asyncio.sleep(_LOOK_EVERY_S)

    @property
    def _thread(self) -> str:
        return f"stream {self.stream.id}"
