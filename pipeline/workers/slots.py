"""Places for pictures in memory that two processes share, and who has which.

The memory is anonymous (memfd): it has no name that could be left behind, and is freed when the
last process that maps it is gone, however it went. The limit of /dev/shm does not count.
"""

import itertools
import mmap
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import numpy as np

from pipeline.core.arrays import U8

_ALIGNED_BYTES: Final = 64
_PAGE_BYTES: Final = 4096


def aligned(size_bytes: int, to_bytes: int = _ALIGNED_BYTES) -> int:
    """The next multiple of `to_bytes`, so that no two parts share a cache line."""
    return -(-size_bytes // to_bytes) * to_bytes


class Slots:
    """The account of who has which of `count` places: `count = free + taken` at any moment.

    `take` is for the thread that decodes, `give_back` and `close` for any. The place that came back
    last is taken first: its memory is warm, and places that are never needed stay untouched, so
    they cost nothing.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"Slots: there must be at least 1, not {count}")
        self.count = count
        self._free = list(reversed(range(count)))
        self._changed = threading.Condition()
        self._closed = False

    @property
    def free(self) -> int:
        """The number of places that can be taken now."""
        return len(self._free)

    @property
    def taken(self) -> int:
        """The number of places that are filled, on their way, or looked at."""
        return self.count - len(self._free)

    def take(self) -> int | None:
        """Take a place. Blocks while there is none: a file waits, a camera's decoder is held up for
        as long as a batch takes. None after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._closed)
            return None if self._closed else self._free.pop()

    def give_back(self, slot: int) -> None:
        """Give back a place at which nobody looks any more. Raises `ValueError` for one that is not
        taken."""
        with self._changed:
            if not 0 <= slot < self.count or slot in self._free:
                raise ValueError(f"Slots: {slot} of {self.count} is not taken")
            self._free.append(slot)
            self._changed.notify()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Memory:
    """The writing side: `slots` places of `slot_bytes` each."""

    def __init__(self, slots: int, slot_bytes: int) -> None:
        self.slot_bytes = aligned(slot_bytes, _PAGE_BYTES)
        self._fd = os.memfd_create("eyrie pictures")
        os.ftruncate(self._fd, slots * self.slot_bytes)
        self._map = mmap.mmap(self._fd, slots * self.slot_bytes)

    def slot(self, number: int) -> U8:
        """The bytes of a slot, (slot_bytes,) uint8, to be written."""
        return np.frombuffer(self._map, np.uint8, self.slot_bytes, number * self.slot_bytes)

    @contextmanager
    def lending(self) -> Iterator[int]:
        """The file descriptor that the reader is to have. Once: it is closed here behind it."""
        try:
            yield self._fd
        finally:
            os.close(self._fd)


class Mapped:
    """The reading side. Takes `fd` and closes it; arrays stay valid for as long as anybody keeps
    them, whatever becomes of the writer."""

    def __init__(self, fd: int, slots: int, slot_bytes: int) -> None:
        self.slots, self.slot_bytes = slots, slot_bytes
        try:
            self._map = mmap.mmap(fd, slots * slot_bytes, prot=mmap.PROT_READ)
        finally:
            os.close(fd)

    def slot(self, number: int) -> U8:
        """The bytes of a slot, (slot_bytes,) uint8, read-only."""
        return np.frombuffer(self._map, np.uint8, self.slot_bytes, number * self.slot_bytes)


class Loans(Mapped):
    """Slots that came filled, each given back when the last array that shows it is dropped.

    `give_back` is called then with the number of the slot, in whatever thread that happens; it must
    be quick and must not raise. `number` is of this memory alone, as long as the process lives;
    `fd` is for others who are to read it, and closed when this is dropped.
    """

    _numbers = itertools.count()

    def __init__(self, fd: int, slots: int, slot_bytes: int, give_back: Callable[[int], None]):
        self.fd = os.dup(fd)
        weakref.finalize(self, os.close, self.fd)
        super().__init__(fd, slots, slot_bytes)
        self.number = next(self._numbers)
        self._give_back = give_back
        self._lent: dict[int, weakref.ref[U8]] = {}

    def lend(self, slot: int) -> U8:
        """The bytes of a slot, (slot_bytes,) uint8, read-only. Views of it keep it as they should:
        numpy makes this very array their base."""
        whole = self.slot(slot)
        self._lent[slot] = weakref.ref(whole, partial(self._dropped, slot))
        return whole

    def _dropped(self, slot: int, _: "weakref.ref[U8]") -> None:
        del self._lent[slot]
        self._give_back(slot)
