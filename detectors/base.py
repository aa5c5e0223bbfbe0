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
    """A runtime with one model loaded. Knows no model family. Called by one thread at a time."""

    name: str
    precision: Precision
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: dict[str, str]
    """Free-form properties stored in the model file."""

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        """Input tensors in the order of `inputs` -> outputs in the order of `outputs`.

        Blocks until done. Raises `EngineRunError`.
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

    def detect(self, images: Sequence[U8]) -> list[Detections]:
        """N pictures (H, W, 3) uint8 RGB, of any and differing sizes -> N results, same order.

        Blocks while the engine runs. Raises `EngineRunError`.
        """

    def close(self) -> None:
        """Free the engine. Idempotent."""
