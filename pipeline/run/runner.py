"""One run of a configuration: opening and stopping order, threads, and the first failure."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from detectors.base import Detector
from pipeline.account import Report
from pipeline.config import PipelineConfig
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.log import get_logger
from pipeline.run.assemble import Given, assemble
from pipeline.run.changes import Changeable
from pipeline.run.flow import Flow
from pipeline.run.streams import Streams
from pipeline.run.threads import ABANDON_AFTER_S, Threads, awaitable
from pipeline.workers.place import Workers
from pipeline.workers.pool import WorkerProcess
from sinks.base import Sink

log = get_logger(__name__)


class Pipeline(Changeable):
    """A run of one configuration, embeddable in another program's loop.

        async with Pipeline(config) as pipeline:
            report = await pipeline.wait()

    Entering opens sinks, then the detector, then starts the streams; it raises the `EyrieError` of
    the first thing that cannot be opened, with everything else closed again. Leaving before the end
    aborts. `detector` replaces the configured one, and stays the caller's to close. `sinks` get all
    messages beside the configured ones; they are opened, flushed and closed here. `instance` is
    what messages say of who wrote them, host and process by default. With `keep_running` the run
    waits for `add` when all streams have ended, until `drain` or `abort`.

    Streams can be changed while others run: see `Changeable`.

    Sets OpenCV to one thread, in the whole process: the threads of a run fill the cores by
    themselves, and each would wait for OpenCV's whenever it resizes a picture.
    """

    def __init__(
        self,
        config: PipelineConfig,
        *,
        detector: Detector | None = None,
        sinks: Sequence[Sink] = (),
        clock: Clock | None = None,
        instance: str | None = None,
        keep_running: bool = False,
    ) -> None:
        super().__init__(config)
        self._given = Given(
            config=config,
            clock=clock or SystemClock(),
            detector=detector,
            sinks=tuple(sinks),
            instance=instance,
            keep_running=keep_running,
        )
        self._guard = threading.Lock()
        self._left = False
        self._opened = contextlib.ExitStack()
        self._flow: Flow | None = None
        self._streams: Streams | None = None
        self._workers: Workers | None = None
        self._threads = Threads()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None
        self._error: str | None = None
        self._entered = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a Pipeline runs once: make another for the next run")
        self._entered = True
        try:
            await self._threads.run("open", self._open)
        except BaseException:
            self._leave()
            raise
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.create_task(self._run(), name="eyrie")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()
        ending = asyncio.create_task(self._end(), name="eyrie end")
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.wait([ending])
            except asyncio.CancelledError as again:  # what is open is closed all the same
                cancelled = again
        if cancelled is not None:
            raise cancelled from ending.exception()
        ending.result()

    async def _end(self) -> None:
        if self._main is not None:
            await asyncio.wait([self._main])
            if not self._main.cancelled():
                self._main.exception()  # `wait` has raised it, or nobody asked
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.wait([self._draining])
        await self._outlast_changes()
        await asyncio.to_thread(self._close)

    async def wait(self) -> Report:
        """Wait until every stream has ended and every sink has its messages -> the account.

        Raises the error that ended the run early, such as `EngineRunError`. Failures of single
        streams and sinks are in the report.
        """
        if self._main is None:
            raise RuntimeError("Pipeline.wait outside of `async with`")
        await asyncio.shield(self._main)
        return self.report()

    def drain(self) -> None:
        """Stop the streams, let what is decoded be published and delivered; abort what is not done
        within `drain_timeout_s`. Never blocks; any thread, any number of times."""
        self._in_loop(self._begin_drain)

    def abort(self) -> None:
        """Stop now: frames that wait are dropped and counted, messages that wait are given up, and
        threads that hang are abandoned after 2 s. Never blocks; any thread, any number of times."""
        if self._flow is not None and self._loop is not None:
            self._flow.abort()
            self._in_loop(self._cut)

    @property
    def started(self) -> bool:
        """True once everything is open and the streams have been started."""
        return self._main is not None

    @property
    def workers(self) -> list[WorkerProcess]:
        """The processes that decode, each with its streams; none where all is done here. Any
        thread."""
        return self._workers.processes if self._workers is not None else []

    def report(self) -> Report:
        """The account as of now. Any thread."""
        report = self._flow.report() if self._flow is not None else Report([], [])
        report.error = self._error
        return report

    def _running(self) -> Streams:
        if self._main is None or self._streams is None:
            raise RuntimeError("streams of a Pipeline can be changed only inside of `async with`")
        return self._streams

    def _open(self) -> None:
        """Open everything. Blocks while it connects and loads. Whatever is opened is closed again
        if a part fails, or if nobody waits any longer."""
        with contextlib.ExitStack() as stack:
            run = assemble(self._given, self._threads, stack)
            with self._guard:
                if not self._left:
                    self._flow, self._streams, self._workers = run.flow, run.streams, run.workers
                    self._opened = stack.pop_all()

    def _leave(self) -> None:
        """Close what `_open` has opened, or will open, as nobody waits for it any longer."""
        with self._guard:
            self._left = True
        self._opened.close()

    def _close(self) -> None:
        """Wait a moment for the threads, then close what was opened, last first."""
        self._threads.join(ABANDON_AFTER_S)
        try:
            self._opened.close()
        except StopIteration as error:
            raise awaitable(error) from error

    async def _run(self) -> None:
        flow, streams = self._flow, self._streams
        assert flow is not None
        assert streams is not None
        try:
            async with asyncio.TaskGroup() as group:
                streams.start(group)
                for name, loop in flow.loops:
                    group.create_task(self._work(name, loop))
        except BaseExceptionGroup as failures:
            self.abort()
            raise _first(failures) from failures

    async def _work(self, name: str, work: Callable[[], None]) -> None:
        """Run one of the flow's loops. Where it fails, no stream can be changed any more."""
        try:
            await self._threads.run(name, work)
        except Exception:
            self.abort()
            raise
        if self._flow is not None and self._flow.detect.is_over and self._streams is not None:
            self._streams.cut()  # where all sinks are gone, some may be paused or about to start

    def _in_loop(self, call: Callable[[], None]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it all is over
                self._loop.call_soon_threadsafe(call)

    def _cut(self) -> None:
        """Do what of an abort is for the loop's thread."""
        if self._streams is not None and self._loop is not None:
            self._streams.cut()
            self._loop.call_later(ABANDON_AFTER_S, self._threads.abandon_all)

    def _begin_drain(self) -> None:
        if self._draining is None and self._main is not None and not self._main.done():
            self._draining = asyncio.create_task(self._drain(), name="eyrie drain")

    async def _drain(self) -> None:
        """Stop the streams and keep the time, both at once: the ends of the streams may themselves
        wait for a sink that is stuck."""
        assert self._streams is not None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._streams.finish())
            group.create_task(self._keep_drain_timeout())

    async def _keep_drain_timeout(self) -> None:
        limit_s = self.config.drain_timeout_s
        log.info("draining: no new frames, at most %g s", limit_s)
        assert self._main is not None
        await asyncio.wait([self._main], timeout=limit_s)
        if not self._main.done():
            await self._leave_deliveries()
        if not self._main.done():
            self._error = f"the run was not drained within {limit_s:g} s and was aborted"
            self.abort()

    async def _leave_deliveries(self) -> None:
        """Leave what is in spools there, where it is safe: their sinks are waited for no longer,
        and do not make the drain fail."""
        assert self._flow is not None
        assert self._main is not None
        self._flow.leave_deliveries()
        await asyncio.wait([self._main], timeout=ABANDON_AFTER_S)
        left = self._threads.unfinished
        if left and left <= self._flow.deliver_threads:
            for name in left:
                self._threads.abandon(name)
            await asyncio.wait([self._main], timeout=ABANDON_AFTER_S)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error itself, out of however many groups."""
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
