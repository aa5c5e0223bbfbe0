"""What a machine has for TensorRT: driver, GPU, libraries, asked in the order that is safe."""

from __future__ import annotations

import ctypes
import importlib
from dataclasses import dataclass
from typing import Any

from detectors.engines.device import CUDA_LIBRARY, why_no_cuda
from pipeline.core.errors import EngineLoadError
from pipeline.core.log import one_line

OLDEST = (10, 6)
INSTALL = "pip install 'eyrie[gpu]'"
FIRST_GPU = 0  # which one that is, CUDA_VISIBLE_DEVICES says
LONGEST_NAME_BYTES = 256
MAJOR_ATTRIBUTE, MINOR_ATTRIBUTE = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first CUDA device that this process may use."""

    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int

    @property
    def architecture(self) -> str:
        """As NVIDIA writes it, such as `sm90`."""
        return "sm{}{}".format(*self.compute_capability)


def probe() -> Gpu:
    """Ask NVIDIA's driver, and nothing else. Raises `EngineLoadError` without driver or device."""
    missing = why_no_cuda()
    if missing is not None:
        raise EngineLoadError(
            f"engine tensorrt: {missing}; look at nvidia-smi and CUDA_VISIBLE_DEVICES, or choose "
            "engine: onnxruntime or openvino"
        )
    cuda, device = ctypes.CDLL(CUDA_LIBRARY), ctypes.c_int(0)
    _call(cuda.cuDeviceGet(ctypes.byref(device), FIRST_GPU), "cuDeviceGet")
    return Gpu(_name(cuda, device), _capability(cuda, device), _memory_bytes(cuda, device))


def load_tensorrt() -> Any:
    """The module `tensorrt`; call `probe` first. Raises `EngineLoadError` when it is missing, has
    no libraries, or is older than 10.6."""
    try:
        trt = importlib.import_module("tensorrt")
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineLoadError(
            f"engine tensorrt: tensorrt cannot be imported ({one_line(str(error))}): {INSTALL}"
        ) from error
    version = str(getattr(trt, "__version__", "0"))
    if version_numbers(version) < OLDEST:
        raise EngineLoadError(f"engine tensorrt: TensorRT {version} is older than 10.6: {INSTALL}")
    return trt


def load_torch() -> Any:
    """The module `torch`, which owns the GPU's memory. Raises `EngineLoadError` when it is missing
    or was built without CUDA."""
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        raise EngineLoadError(
            f"engine tensorrt: torch cannot be imported ({one_line(str(error))}): {INSTALL}"
        ) from error
    if not torch.cuda.is_available():
        raise EngineLoadError(
            f"engine tensorrt: torch {torch.__version__} cannot use the GPU (built for CUDA "
            f"{torch.version.cuda or 'none'}): install a torch for this machine's driver"
        )
    return torch


def version_numbers(version: str) -> tuple[int, int]:
    """Major and minor of `10.13.2.6`; (0, 0) for what is no version."""
    parts = version.split(".")
    if len(parts) < len(OLDEST) or not all(part.isdecimal() for part in parts[:2]):
        return 0, 0
    return int(parts[0]), int(parts[1])


def _call(status: int, function: str) -> None:
    if status:
        raise EngineLoadError(f"engine tensorrt: the GPU does not answer ({function}: {status})")


def _name(cuda: Any, device: ctypes.c_int) -> str:
    name = ctypes.create_string_buffer(LONGEST_NAME_BYTES)
    _call(cuda.cuDeviceGetName(name, LONGEST_NAME_BYTES, device), "cuDeviceGetName")
    return name.value.decode(errors="replace")


def _capability(cuda: Any, device: ctypes.c_int) -> tuple[int, int]:
    found = []
    for attribute in (MAJOR_ATTRIBUTE, MINOR_ATTRIBUTE):
        value = ctypes.c_int(0)
        status = cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        _call(status, "cuDeviceGetAttribute")
        found.append(value.value)
    return found[0], found[1]


def _memory_bytes(cuda: Any, device: ctypes.c_int) -> int:
    total = ctypes.c_size_t(0)
    _call(cuda.cuDeviceTotalMem_v2(ctypes.byref(total), device), "cuDeviceTotalMem")
    return total.value
