"""Running a plan: buffers allocated once, one execution context and CUDA graph per batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detectors.base import TensorSpec
from detectors.engines.tensorrt.messages import Complaints, make_logger
from detectors.engines.tensorrt.stream import Stream, Work
from pipeline.core.errors import EngineLoadError, EngineRunError

if TYPE_CHECKING:
    import torch

DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
PROFILE = 0
SILENT = "it does not say why"


class Loader:
    """Turns plans into TensorRT's engines; keeps its logger alive as long as they are."""

    def __init__(self, trt: Any, where: str) -> None:
        self.trt, self.where = trt, where
        self.complaints = Complaints()
        self._logger = make_logger(trt, self.complaints)
        self._runtime = trt.Runtime(self._logger)

    def load(self, plan: bytes) -> Any:
        """TensorRT's engine. Raises `EngineLoadError`."""
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineLoadError(
                f"model {self.where}: TensorRT {self.trt.__version__} does not load its plan: "
                f"{self.complaints.why(SILENT)}"
            )
        return engine

    def information(self, plan: bytes) -> str:
        """What TensorRT's inspector says of a plan's layers, as JSON."""
        engine = self.load(plan)
        inspector = engine.create_engine_inspector()
        return str(inspector.get_engine_information(self.trt.LayerInformationFormat.JSON))


@dataclass(frozen=True, slots=True)
class _Lane:
    """One batch size: its context, which must outlive its graph, and how to launch it."""

    context: Any
    launch: Work


class Session:
    """An engine on a stream, with one buffer per tensor for its largest batch.

    All batch sizes share the buffers and the memory between layers, so one batch is computed at a
    time. Not thread-safe. Raises `EngineLoadError` for a plan that does not load or does not fit
    into the GPU's memory.
    """

    def __init__(
        self,
        loader: Loader,
        stream: Stream,
        plan: bytes,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
    ) -> None:
        self._loader, self._stream = loader, stream
        self._engine = loader.load(plan)
        self._check_names(inputs, outputs)
        self.inputs = tuple(self._spec(name) for name in inputs)
        self.outputs = tuple(self._spec(name) for name in outputs)
        shapes = [self._engine.get_tensor_profile_shape(name, PROFILE) for name in inputs]
        self.max_batch = min(int(largest[0]) for _, _, largest in shapes)
        self._lanes: dict[int, _Lane] = {}
        try:
            self._buffers = {
                spec.name: stream.empty(self._sized(spec, self.max_batch), spec.dtype)
                for spec in (*self.inputs, *self.outputs)
            }
            self._scratch_bytes = max(int(self._engine.device_memory_size_v2), 1)
            self._scratch = stream.empty((self._scratch_bytes,), "uint8")
        except MemoryError as error:
            raise EngineLoadError(
                f"model {loader.where}: {error}; build it for a smaller max_batch than "
                f"{self.max_batch}, or free memory"
            ) from error

    def input_buffers(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Where the inputs of a batch belong; to be written on the stream."""
        return tuple(self._buffers[spec.name][:batch] for spec in self.inputs)

    def launch(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Start computing what the input buffers hold; returns the output buffers' part for this
        batch of 1 to `max_batch`, complete in the order of the stream, until the next launch.

        Blocks at the first batch of a size, which is prepared. Raises `EngineRunError`.
        """
        if batch not in self._lanes:
            self._lanes[batch] = self._prepare(batch)
        self._lanes[batch].launch()
        return tuple(self._buffers[spec.name][:batch] for spec in self.outputs)

    def _prepare(self, batch: int) -> _Lane:
        """A context for one batch size. Its first run is outside the graph, as TensorRT wants."""
        strategy = self._loader.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self._engine.create_execution_context(strategy)
        self._check(context is not None, "gives no execution context")
        context.set_device_memory(self._scratch.data_ptr(), self._scratch_bytes)
        chosen = context.set_optimization_profile_async(PROFILE, self._stream.handle)
        self._check(chosen, "refuses its optimization profile")
        for spec in self.inputs:
            taken = context.set_input_shape(spec.name, self._sized(spec, batch))
            self._check(taken, f"refuses a batch of {batch} for {spec.name}")
        for name, buffer in self._buffers.items():
            taken = context.set_tensor_address(name, buffer.data_ptr())
            self._check(taken, f"refuses the buffer of {name}")

        def execute() -> None:
            done = context.execute_async_v3(self._stream.handle)
            self._check(done, f"fails on a batch of {batch}")

        execute()
        self._stream.synchronize()
        return _Lane(context, self._stream.capture(execute))

    def _check(self, good: bool, what: str) -> None:
        if not good:
            why = self._loader.complaints.why(SILENT)
            raise EngineRunError(f"{self._loader.where}: TensorRT {what}: {why}")

    def _check_names(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        mode = self._loader.trt.TensorIOMode.INPUT
        found: tuple[set[str], set[str]] = (set(), set())
        for n in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(n)
            found[self._engine.get_tensor_mode(name) != mode].add(name)
        if found != (set(inputs), set(outputs)):
            raise EngineLoadError(
                f"model {self._loader.where}: its plan has inputs {sorted(found[0])} and outputs "
                f"{sorted(found[1])}, but its header names {list(inputs)} and {list(outputs)}"
            )

    def _spec(self, name: str) -> TensorSpec:
        dtype = self._engine.get_tensor_dtype(name).name
        shape = tuple(
            None if side < 0 else int(side) for side in self._engine.get_tensor_shape(name)
        )
        if dtype not in DTYPES or None in shape[1:]:
            raise EngineLoadError(
                f"model {self._loader.where}: tensor {name} is {dtype} {shape}; only the batch may "
                "be of any size"
            )
        return TensorSpec(name, DTYPES[dtype], shape)

    def _sized(self, spec: TensorSpec, batch: int) -> tuple[int, ...]:
        return tuple(batch if side is None else side for side in spec.shape)
