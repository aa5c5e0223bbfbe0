"""Threads of a run: waited for, abandoned by name, joined before one deadline."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator

from pipeline.run.threads import Threads


@contextlib.asynccontextmanager
async def stuck(threads: Threads, *names: str) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Threads of these names, which return at the end of the block."""
    release = threading.Event()

    def wait() -> None:
        release.wait(30)

    tasks = [asyncio.create_task(threads.run(name, wait)) for name in names]
    await asyncio.sleep(0)  # each task starts its thread in its first step
    try:
        yield tasks
    finally:
        release.set()
        await asyncio.wait(tasks)


async def test_all_threads_of_one_name_are_abandoned() -> None:
    threads = Threads()
    async with stuck(threads, "sink", "sink", "other") as (first, second, other):
        threads.abandon("sink")
        await asyncio.wait_for(asyncio.gather(first, second), 10)
        assert threads.unfinished == {"other"}
        threads.abandon_all()
        await asyncio.wait_for(other, 10)


async def test_a_thread_that_has_returned_is_forgotten() -> None:
    threads = Threads()
    for _ in range(20):
        await threads.run("short", lambda: None)
        threads.join(10)
    assert len(threads._works) == 1


async def test_each_thread_has_the_whole_time_to_return() -> None:
    threads, go_on, returned = Threads(), threading.Event(), threading.Event()

    def late() -> None:
        go_on.wait(30)
        returned.set()

    async with stuck(threads, *(f"quick {n}" for n in range(99))):
        slow = asyncio.create_task(threads.run("late", late))
        await asyncio.sleep(0)
    threading.Timer(0.3, go_on.set).start()  # more than a hundredth of what follows
    threads.join(10)
    assert returned.is_set()
    await slow


async def test_an_abandoned_thread_is_not_joined() -> None:
    threads = Threads()
    async with stuck(threads, "hung"):
        threads.abandon_all()
        began_s = time.monotonic()
        threads.join(30)
        assert time.monotonic() - began_s < 10
