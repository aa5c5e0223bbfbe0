"""The twin of `TorchStream` on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch


class HostStream:
    """Memory of torch on the CPU, and graphs that are called again; at once, in order.

    `free_bytes` is how much memory it has.
    """

    handle = 1

    def __init__(self, free_bytes: int = 2**40) -> None:
        self.free_bytes = free_bytes
        self.captured = 0
        self.replayed = 0

    def empty(self, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
        made = torch.empty(shape, dtype=getattr(torch, dtype))
        self.free_bytes -= made.nbytes
        if self.free_bytes < 0:
            raise MemoryError("9 MiB of GPU memory are needed, and 1 of 2 MiB are free")
        return made

    def ordered(self) -> AbstractContextManager[None]:
        return nullcontext()

    def synchronize(self) -> None:
        pass

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        self.captured += 1

        def replay() -> None:
            self.replayed += 1
            work()

        return replay
