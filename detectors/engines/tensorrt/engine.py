"""`TensorRtEngine`: an ONNX file or a plan on a CUDA GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectors.base import Precision, TensorSpec
from detectors.engines.options import EngineOptions
from detectors.engines.tensorrt.inspector import int8_share, layers
from detectors.engines.tensorrt.plan import Plan
from detectors.engines.tensorrt.platform import Platform
from detectors.engines.tensorrt.preparation import ENGINE_NAME, plan_for
from detectors.engines.tensorrt.runtime import Loader, Session
from pipeline.core.arrays import AnyArray
from pipeline.core.errors import EngineLoadError, EngineRunError
from pipeline.core.log import get_logger

if TYPE_CHECKING:
    import torch

    from detectors.engines.tensorrt.stream import Stream

log = get_logger(__name__)
ENOUGH_INT8 = 0.9


class TensorRtEngine:
    """A model on the first CUDA GPU, as `detectors.base.Engine`, and with tensors on the GPU.

    `path` is an ONNX file, whose plan is taken from the cache or built, which takes minutes, or a
    plan file of `eyrie model build`. A plan for another version, GPU, file or precision is never
    loaded. `platform` is this machine unless given.

    Raises `EngineLoadError` without driver, GPU, TensorRT 10.6 or later, or a torch with CUDA; when
    the file cannot be built or is not for this machine; when it does not fit into memory; and when
    an INT8 file runs nothing in INT8.
    """

    name = ENGINE_NAME
    concurrency = 1
    can_be_sized = False

    def __init__(
        self, path: Path, options: EngineOptions, platform: Platform | None = None
    ) -> None:
        platform = platform or Platform.find()
        plan = plan_for(path, options, platform)
        _check_int8(plan, path.name)
        self.stream: Stream = platform.make_stream()
        """Where the engine computes: work for its buffers belongs on it."""
        loader = Loader(platform.trt, path.name)
        self._session: Session | None = Session(
            loader, self.stream, plan.engine, plan.inputs, plan.outputs
        )
        self._where = path.name
        self.device = platform.gpu.name
        self.precision: Precision = plan.key.precision
        self.metadata = dict(plan.metadata)
        self.inputs: tuple[TensorSpec, ...] = self._session.inputs
        self.outputs: tuple[TensorSpec, ...] = self._session.outputs
        self.batch_limit: int | None = self._session.max_batch

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        """See `detectors.base.Engine.run`: arrays in and out, copied to and from the GPU."""
        import torch

        outputs = self.run_cuda(*(torch.from_numpy(np.ascontiguousarray(t)) for t in tensors))
        try:
            return tuple(output.to("cpu", copy=True).numpy() for output in outputs)
        except RuntimeError as error:
            raise self._failed(error) from error

    def run_cuda(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Tensors in the order of `inputs`, on the GPU -> outputs on the GPU.

        In the order of the caller's current stream; does not wait for the GPU, but at the first
        batch of a size. What `input_buffers` gave is not copied. The outputs are the engine's, and
        hold until the next run. Raises `EngineRunError`.
        """
        session = self._open()
        batch = self._batch(tensors)
        buffers = self.input_buffers(batch)
        try:
            with self.stream.ordered():
                for buffer, tensor in zip(buffers, tensors, strict=True):
                    if buffer.data_ptr() != tensor.data_ptr():
                        buffer.copy_(tensor, non_blocking=True)
                return session.launch(batch)
        except RuntimeError as error:
            raise self._failed(error) from error

    def input_buffers(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Tensors of the GPU, in the order of `inputs`, to write a batch to and give to `run_cuda`.

        They are free once the stream has done what it was given. Raises `EngineRunError`.
        """
        session = self._open()
        if not 1 <= batch <= session.max_batch:
            raise EngineRunError(
                f"{self._where}: a batch of {batch}, but it was built for 1 to "
                f"{session.max_batch}; build it with a larger max_batch"
            )
        return session.input_buffers(batch)

    def close(self) -> None:
        """See `detectors.base.Engine.close`."""
        if self._session is not None:
            self.stream.synchronize()
            self._session = None

    def _open(self) -> Session:
        if self._session is None:
            raise EngineRunError(f"{self._where}: the engine is closed")
        return self._session

    def _batch(self, tensors: tuple[torch.Tensor, ...]) -> int:
        """The batch size of well-formed inputs."""
        found = [(str(t.dtype).removeprefix("torch."), tuple(t.shape)) for t in tensors]
        batch = found[0][1][0] if found and found[0][1] else 0
        wanted = [
            (spec.dtype, tuple(batch if side is None else side for side in spec.shape))
            for spec in self.inputs
        ]
        if found != wanted:
            raise EngineRunError(f"{self._where}: takes {wanted}, not {found}")
        return batch

    def _failed(self, error: RuntimeError) -> EngineRunError:
        said = str(error).splitlines() or [type(error).__name__]
        return EngineRunError(f"{self._where} on {self.device}: {said[0]}")


def _check_int8(plan: Plan, where: str) -> None:
    """An INT8 plan must run INT8 where its file planned it, as far as the inspector tells."""
    found = layers(plan.information)
    if plan.key.precision != "int8" or not any(layer.precision for layer in found):
        return
    share = int8_share(found, plan.planned_int8)
    if not share.ran:
        raise EngineLoadError(
            f"model {where}: TensorRT {plan.key.tensorrt} runs none of its {share.planned} INT8 "
            f"convolutions in INT8 on {plan.gpu}; give its FP32 file, with precision fp16"
        )
    if share.value < ENOUGH_INT8:
        log.warning("model %s: only %s in INT8; see eyrie model inspect", where, share)
