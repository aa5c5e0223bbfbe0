"""`TorchStream` against a torch that only notes what it is asked: its order, its failures. The real
one needs a GPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from detectors.engines.tensorrt.stream import TorchStream
from pipeline.core.errors import EngineRunError


class OutOfMemoryError(RuntimeError):
    """As torch.cuda.OutOfMemoryError."""


class NotedStream:
    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes
        self.cuda_stream = 7

    def wait_stream(self, other: NotedStream) -> None:
        self.notes.append(f"{self.name} waits for {other.name}")

    def synchronize(self) -> None:
        self.notes.append(f"host waits for {self.name}")


class NotedTorch:
    """Only what `TorchStream` uses."""

    uint8 = SimpleNamespace(itemsize=1)
    float32 = SimpleNamespace(itemsize=4)

    def __init__(self, free_bytes: int = 2**30) -> None:
        self.notes: list[str] = []
        self.free_bytes = free_bytes
        self.caller = NotedStream("caller", self.notes)
        self.cuda = SimpleNamespace(
            Stream=lambda: NotedStream("ours", self.notes),
            current_stream=lambda: self.caller,
            stream=self._inside,
            graph=self._capturing,
            CUDAGraph=lambda: SimpleNamespace(replay=lambda: self.notes.append("replayed")),
            OutOfMemoryError=OutOfMemoryError,
            mem_get_info=lambda: (self.free_bytes, 2**31),
        )

    def empty(self, shape: tuple[int, ...], dtype: Any, device: str) -> str:
        size = dtype.itemsize
        for side in shape:
            size *= side
        if size > self.free_bytes:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate …\nmany more words")
        return f"{size} bytes of {device}"

    @contextmanager
    def _inside(self, stream: NotedStream) -> Iterator[None]:
        self.notes.append(f"into {stream.name}")
        yield
        self.notes.append(f"out of {stream.name}")

    @contextmanager
    def _capturing(self, graph: Any, **how: Any) -> Iterator[None]:
        assert how["stream"].name == "ours"
        assert how["capture_error_mode"] == "thread_local"
        yield


def test_work_is_between_what_the_caller_gave_and_will_give() -> None:
    torch = NotedTorch()
    stream = TorchStream(torch)
    with stream.ordered():
        torch.notes.append("work")
    stream.synchronize()
    assert torch.notes == [
        "ours waits for caller",
        "into ours",
        "work",
        "out of ours",
        "caller waits for ours",
        "host waits for ours",
    ]
    assert stream.handle == 7


def test_captured_work_is_replayed_and_not_called_again() -> None:
    torch = NotedTorch()
    calls: list[int] = []
    launch = TorchStream(torch).capture(lambda: calls.append(1))
    launch()
    launch()
    assert (len(calls), torch.notes) == (1, ["replayed", "replayed"])


@pytest.mark.parametrize("error", [RuntimeError("not permitted"), EngineRunError("refused")])
def test_work_that_cannot_be_captured_is_called_each_time(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise error

    with caplog.at_level(logging.WARNING):
        launch = TorchStream(NotedTorch()).capture(work)
    launch()
    assert len(calls) == 2
    assert f"no CUDA graph ({error})" in caplog.text


def test_too_little_memory_says_how_much_is_free() -> None:
    stream = TorchStream(NotedTorch(free_bytes=5 * 2**20))
    assert str(stream.empty((2, 3), "float32")) == "24 bytes of cuda"
    with pytest.raises(MemoryError) as caught:
        stream.empty((10, 2**20), "uint8")
    assert str(caught.value) == "10 MiB of GPU memory are needed, and 5 of 2048 MiB are free"
