"""Blocking work under an asyncio loop, in threads that cannot keep the process alive."""

import asyncio
import contextlib
import threading
from collections.abc import Callable

from pipeline.core.log import get_logger

log = get_logger(__name__)


class Threads:
    """Daemon threads of one run. One that hangs in native code is abandoned."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._waited: dict[str, asyncio.Future[None]] = {}

    async def run(self, name: str, work: Callable[[], None]) -> None:
        """Do the work in a thread of that name; returns or raises as it does, or returns when the
        thread is abandoned."""
        loop = asyncio.get_running_loop()
        done = self._waited[name] = loop.create_future()

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
            except BaseException as error:  # noqa: BLE001 - raised again in the loop's thread
                failure = error
            with contextlib.suppress(RuntimeError):  # an abandoned thread may outlive the loop
                loop.call_soon_threadsafe(finish, failure)

        thread = threading.Thread(target=run, name=f"eyrie {name}", daemon=True)
        self._threads = [*(other for other in self._threads if other.is_alive()), thread]
        thread.start()
        await done

    @property
    def unfinished(self) -> set[str]:
        """The names of those that are still waited for. For the loop's thread."""
        return {name for name, done in self._waited.items() if not done.done()}

    def abandon(self, name: str) -> None:
        """Wait no longer for the thread of that name. For the loop's thread."""
        done = self._waited.get(name)
        if done is not None and not done.done():
            log.warning("%s does not return and is abandoned", name)
            done.set_result(None)

    def abandon_all(self) -> None:
        """Wait for none any longer. For the loop's thread."""
        for name in self._waited:
            self.abandon(name)

    def join(self, timeout_s: float) -> None:
        """Wait until those that are not abandoned have returned, together at most `timeout_s`."""
        share_s = timeout_s / max(1, len(self._threads))
        for thread in self._threads:
            thread.join(share_s)
