"""Is Python's lock, the GIL, held in another process just now? Asked a thousand times a second,
from outside, so that what is measured is not held up by it.

CPython keeps the lock in the variable `_PyRuntime`, at a place that no interface tells and that
differs between versions. It is found by trial: of all words in there, the lock is one that is 1
whenever a process computes in Python, and 0 whenever its only thread sleeps.
"""

import ctypes
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

_LOOKED_AT_BYTES: Final = 512 * 1024
_TRIALS: Final = 24
_EVERY_S: Final = 0.001

_TRIAL = """
import sys, time
from benchmarks.gil_sampler import runtime_address
print(runtime_address(), flush=True)
for line in sys.stdin:
    end = time.monotonic() + 0.02
    if line.startswith("sleep"):
        print("sleep", flush=True)
        time.sleep(0.02)
    else:
        print("work", flush=True)
        while time.monotonic() < end:
            pass
"""


def runtime_address() -> int:
    """Where this process has `_PyRuntime`."""
    return ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))


def find_lock() -> int:
    """Bytes from `_PyRuntime` to the lock, in this version of Python. Raises RuntimeError if it is
    not to be found. Linux; the user must be allowed to read a child's memory."""
    child = subprocess.Popen(
        [sys.executable, "-c", _TRIAL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        address = int(child.stdout.readline())
        fits = None
        for trial in range(_TRIALS):
            held = trial % 2 == 0
            child.stdin.write("work\n" if held else "sleep\n")
            child.stdin.flush()
            child.stdout.readline()
            time.sleep(0.006)
            same = _words(child.pid, address) == int(held)
            fits = same if fits is None else fits[: len(same)] & same[: len(fits)]
            time.sleep(0.025)
    places = np.flatnonzero(fits) if fits is not None else np.empty(0, np.int64)
    if not len(places):
        raise RuntimeError("the lock of this Python was not found: no word of _PyRuntime fits")
    return int(places[0]) * 4


def _words(pid: int, address: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """As many as can be read: behind the variable the memory may end."""
    read = b""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for begin in range(0, _LOOKED_AT_BYTES, 4096):
            try:
                read += os.pread(memory.fileno(), 4096, address + begin)
            except OSError:
                break
    return np.frombuffer(read[: len(read) // 4 * 4], np.int32)


class Sampler:
    """Looks at the lock of one process, whose `_PyRuntime` is at `address`."""

    def __init__(self, pid: int, address: int, lock: int) -> None:
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        self._place = address + lock
        self._looks = self._held = 0
        self._random = random.Random(0)

    def look_until(self, end_s: float) -> None:
        """At moments that follow no beat, until the monotonic time `end_s`."""
        while time.monotonic() < end_s:
            time.sleep(self._random.uniform(0.5, 1.5) * _EVERY_S)
            self._held += os.pread(self._memory, 4, self._place) == b"\1\0\0\0"
            self._looks += 1

    @property
    def share(self) -> float:
        """Of the looks at which the lock was held."""
        return self._held / max(self._looks, 1)

    def close(self) -> None:
        """Of no use any more."""
        os.close(self._memory)
