"""The contracts of detectors: two axes, two interfaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pipeline.core.arrays import U8, AnyArray
from pipeline.core.detections import Detections

Precision = Literal["int8", "fp16", "fp32"]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, dtype and shape of an engine's input or output; None is a free dimension."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class Engine(Protocol):
    """A runtime with one model loaded. Knows no model family. Called by one thread at a time.

    Batches may be of any size from 1 to `batch_limit`, and of another size at every call.
    """

    name: str
    """Runtime and kind of device: `onnxruntime-cpu`, `openvino-cpu`, `tensorrt-cuda`."""
    device: str
    """The device as a person knows it, such as the model of the CPU or of the GPU."""
    precision: Precision
    """What the convolutions run in, as far as the runtime tells; never only what was asked for."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: dict[str, str]
    """Free-form properties stored in the model file."""
    batch_limit: int | None
    """The largest batch that `run` takes; None where only memory limits it."""

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        """Input tensors in the order of `inputs` -> outputs in the order of `outputs`.

        The outputs are the caller's: the engine does not write to them again. Blocks until done.
        Raises `EngineRunError`.
        """

    def close(self) -> None:
        """Free the runtime. Idempotent."""


class Detector(Protocol):
    """A model family on an engine."""

    labels: tuple[str, ...]
    """Class names by `class_id`."""
    name: str
    sha256: str
    """Of the model file, in hex."""
    precision: Precision
    engine_name: str
    device: str
    """See `Engine.name` and `Engine.device`."""

    def detect(self, images: Sequence[U8]) -> list[Detections]:
        """N pictures (H, W, 3) uint8 RGB, of any and differing sizes -> N results, same order.

        Blocks while the engine runs. Raises `EngineRunError`.
        """

    def close(self) -> None:
        """Free the engine. Idempotent."""
