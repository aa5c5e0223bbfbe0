"""Processes that a run starts: they end with it, leave signals to it, and their end is told."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_SIGNALS: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Start processes in here: they never see Ctrl-C, a service manager's SIGTERM or a hang-up,
    which go to the whole group, for who started them decides when they end. The mask is inherited.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that started it ends, however it ends: also
    where this one is stuck in native code and hears nothing. For the start of a process."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before that call
        os.kill(os.getpid(), signal.SIGKILL)


def how_it_died(code: int) -> str:
    """The exit code of a process, negative for a signal, as a phrase to put behind its name."""
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL): out of memory?"
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    return f"ended with code {code}"
