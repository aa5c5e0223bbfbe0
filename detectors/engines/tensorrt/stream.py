"""One CUDA stream of torch, and what the runtime does on it: memory, order, graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.core.errors import EngineRunError
from pipeline.core.log import get_logger, one_line

if TYPE_CHECKING:
    import torch

log = get_logger(__name__)
MIB = 2**20

Work = Callable[[], None]


class Stream(Protocol):
    """Where an engine computes. `TorchStream` is on a GPU; a twin on the CPU serves tests."""

    handle: int
    """What TensorRT knows the stream by."""

    def empty(self, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
        """New memory of the device. Raises MemoryError that says how much is free."""

    def ordered(self) -> AbstractContextManager[None]:
        """Work inside runs on this stream, after what the caller's stream was given before, and
        before what it is given afterwards."""

    def synchronize(self) -> None:
        """Block until all work is done. Raises RuntimeError when some of it failed."""

    def capture(self, work: Work) -> Work:
        """`work`, recorded to be launched at once; as it is where it cannot be recorded."""


class TorchStream:
    """A stream of its own on the first GPU, as `Stream`."""

    def __init__(self, torch_module: Any) -> None:
        self._torch = torch_module
        self._stream = torch_module.cuda.Stream()
        self.handle = int(self._stream.cuda_stream)

    def empty(self, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
        """See `Stream.empty`."""
        module = self._torch
        kind = getattr(module, dtype)
        try:
            made: torch.Tensor = module.empty(shape, dtype=kind, device="cuda")
        except module.cuda.OutOfMemoryError as error:
            wanted = kind.itemsize
            for side in shape:
                wanted *= side
            free, total = module.cuda.mem_get_info()
            raise MemoryError(
                f"{-(-wanted // MIB)} MiB of GPU memory are needed, and {free // MIB} of "
                f"{total // MIB} MiB are free"
            ) from error
        return made

    @contextmanager
    def ordered(self) -> Iterator[None]:
        """See `Stream.ordered`."""
        caller = self._torch.cuda.current_stream()
        self._stream.wait_stream(caller)
        with self._torch.cuda.stream(self._stream):
            yield
        caller.wait_stream(self._stream)

    def synchronize(self) -> None:
        """See `Stream.synchronize`."""
        self._stream.synchronize()

    def capture(self, work: Work) -> Work:
        """See `Stream.capture`. Other threads may use CUDA meanwhile."""
        graph = self._torch.cuda.CUDAGraph()
        try:
            with self._torch.cuda.graph(
                graph, stream=self._stream, capture_error_mode="thread_local"
            ):
                work()
        except (RuntimeError, EngineRunError) as error:
            log.warning("no CUDA graph (%s): kernels are launched singly", one_line(str(error)))
            return work
        replay: Work = graph.replay
        return replay
