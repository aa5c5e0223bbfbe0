"""Threads for blocking work under an asyncio loop, which cannot keep the process alive."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pipeline.core.log import get_logger

log = get_logger(__name__)

ABANDON_AFTER_S: Final = 2.0
"""The time for which a thread that was told to end is waited for."""


def awaitable(error: BaseException) -> BaseException:
    """The error as one that a future takes: of an iterator's end, none would ever hear."""
    if not isinstance(error, StopIteration):
        return error
    found = RuntimeError("unexpected StopIteration")
    found.__cause__ = error
    return found


@dataclass(slots=True)
class _Work:
    """A thread, and the future of who waits for it."""

    name: str
    thread: threading.Thread
    done: asyncio.Future[None]
    is_abandoned: bool = False

    @property
    def is_over(self) -> bool:
        """True once nobody waits for the thread and it does not run."""
        return self.done.done() and not self.thread.is_alive()


class Threads:
    """Daemon threads of one run. One that hangs in native code is abandoned. Several may have one
    name."""

    def __init__(self) -> None:
        self._works: list[_Work] = []

    async def run(self, name: str, work: Callable[[], None]) -> None:
        """Do the work in a thread of that name; returns or raises as it does, or returns when the
        thread is abandoned."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def finish(error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def run() -> None:
            failure: BaseException | None = None
            try:
                work()
            except BaseException as error:
                log.debug("thread %r", name, exc_info=True)
                failure = awaitable(error)  # raised again in the loop's thread
            with contextlib.suppress(RuntimeError):  # an abandoned thread may outlive the loop
                loop.call_soon_threadsafe(finish, failure)

        thread = threading.Thread(target=run, name=f"eyrie {name}", daemon=True)
        living = [other for other in self._works if not other.is_over]
        self._works = [*living, _Work(name, thread, done)]
        thread.start()
        await done

    @property
    def unfinished(self) -> set[str]:
        """The names of the threads that are still waited for. For the loop's thread."""
        return {work.name for work in self._works if not work.done.done()}

    def abandon(self, name: str) -> None:
        """Wait no longer for the threads of that name. For the loop's thread."""
        for work in self._works:
            if work.name == name and not work.done.done():
                log.warning("%s does not return and is abandoned", name)
                work.is_abandoned = True
                work.done.set_result(None)

    def abandon_all(self) -> None:
        """Wait for no thread any longer. For the loop's thread."""
        for name in self.unfinished:
            self.abandon(name)

    def join(self, timeout_s: float) -> None:
        """Wait until those that are not abandoned have returned, together at most `timeout_s`.
        Blocks; any thread."""
        deadline_s = time.monotonic() + timeout_s
        for work in self._works:
            if not work.is_abandoned:
                work.thread.join(max(0.0, deadline_s - time.monotonic()))
