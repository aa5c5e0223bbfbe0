"""TensorRT on a CUDA GPU, from 10.6 on and 11, by one path: explicit quantization, strong typing.

Only what exists alike in all these versions is used of its Python interface. `tensorrt` and `torch`
are imported when an engine is opened, and only after the driver has answered: TensorRT without a
driver ends the whole process.
"""

from detectors.engines.tensorrt.engine import TensorRtEngine

__all__ = ["TensorRtEngine"]
