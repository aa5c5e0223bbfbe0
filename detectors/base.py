"""The contracts of detection: an engine runs tensors, a detector knows what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from pipeline.core.arrays import AnyArray
from pipeline.core.detections import Detections
from pipeline.core.picture import AnyPicture

if TYPE_CHECKING:
    from detectors.letterbox import Letterbox

Precision = Literal["int8", "fp16", "fp32"]


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of a quantized tensor: an integer stands for (integer - `zero_point`) * `scale`."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """The name, dtype and shape of an engine's input or output; None is a free dimension. With a
    `grid`, an image tensor is (B, H, W, C) uint8, else (B, C, H, W) of floats."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    grid: Grid | None = None


class Engine(Protocol):
    """A runtime with one model loaded, which knows no model family.

    Batches may be of any size from 1 to `batch_limit`, and of another size at every call.
    """

    name: str
    """The runtime and kind of device: `onnxruntime-cpu`, `openvino-cpu`, `tensorrt-cuda`."""
    device: str
    """The device as a person knows it, such as the model of the CPU or of the GPU."""
    precision: Precision
    """The precision that the convolutions run in, as far as the runtime tells; never only what was
    asked for."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: dict[str, str]
    """Free-form properties stored in the model file."""
    batch_limit: int | None
    """The largest batch that `run` takes; None where only memory limits it."""
    concurrency: int
    """The number of threads that may be in `run` at once; more than 1 where that is of use."""
    can_be_sized: bool
    """True if the file can be opened with the network brought to another size of pictures."""

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        """Run a batch: input tensors in the order of `inputs` -> outputs in the order of `outputs`.

        The outputs are the caller's: the engine does not write to them again. Blocks until done.
        Raises `EngineRunError`.
        """

    def close(self) -> None:
        """Free the runtime. Idempotent."""


class Detector(Protocol):
    """A model family on an engine: pictures in, detections out."""

    labels: tuple[str, ...]
    """The class names by `class_id`."""
    name: str
    sha256: str
    """The SHA-256 of the model file, in hex."""
    precision: Precision
    engine_name: str
    device: str
    """The engine's `name` and `device`, see there."""
    concurrency: int
    """The number of threads that may be in `detect` at once; more than 1 where that is of use."""

    @property
    def letterbox(self) -> "Letterbox | None":
        """The letterbox whose `place` gives the sizes that are asked of `Picture.fit`. None: the
        detector looks at pictures in another way."""

    def detect(self, pictures: Sequence[AnyPicture], /) -> list[Detections]:
        """Detect in N pictures, of any and differing sizes -> N results, same order. Arrays are (H,
        W, 3) uint8 RGB.

        Blocks while the engine runs. Raises `EngineRunError`.
        """

    def close(self) -> None:
        """Free the engine. Idempotent."""
