"""The heap of a process that runs for months: what glibc would let grow, kept flat."""

import ctypes
import os
from typing import Final

_M_ARENA_MAX: Final = -8  # malloc.h


def share_one_heap() -> None:
    """Let all threads that start from now on allocate from one heap, on Linux with glibc.

    By default glibc makes up to eight heaps a core and gives them to threads as they come. A
    picture is made in one thread and freed in another, and every reconnect begins a new thread:
    each heap grows to what the worst moment needed there, and keeps it. With one heap, what one
    thread frees is the next thread's to use. The threads here allocate little and seldom, and do
    not wait for each other: `benchmarks.throughput` shows no difference.

    It is for the whole process, so it is for the program to call, before it starts threads; `eyrie`
    does. Without effect where `MALLOC_ARENA_MAX` is set, and on other systems.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(_M_ARENA_MAX, 1)
