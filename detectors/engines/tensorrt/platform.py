"""All that an engine needs of its machine, found once, in the order in which it is safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from detectors.engines.tensorrt.probe import Gpu, load_tensorrt, load_torch, probe
from detectors.engines.tensorrt.stream import Stream, TorchStream


@dataclass(frozen=True, slots=True)
class Platform:
    """A GPU, the module `tensorrt`, and how to get a stream."""

    gpu: Gpu
    trt: Any
    make_stream: Callable[[], Stream]

    @classmethod
    def find(cls) -> Platform:
        """This machine's. Raises `EngineLoadError` that says what is missing."""
        gpu = probe()
        trt = load_tensorrt()
        torch = load_torch()
        return cls(gpu, trt, lambda: TorchStream(torch))

    @property
    def version(self) -> str:
        """TensorRT's."""
        return str(self.trt.__version__)
