"""What there is to run on: the name of the CPU, and whether a CUDA GPU answers."""

import ctypes
import os
import platform
from pathlib import Path

CUDA_LIBRARY = "libcuda.so.1"


def cpu_name() -> str:
    """The CPU as its maker calls it, with the cores this process may use, such as
    `Intel(R) Xeon(R) Processor, 2 cores`."""
    cores = len(os.sched_getaffinity(0))
    return f"{_model() or platform.machine()}, {cores} core{'' if cores == 1 else 's'}"


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return " ".join(next(names, "").split())


def why_no_cuda() -> str | None:
    """Why no CUDA GPU can be used, in a few words; None when at least one answers.

    Asks NVIDIA's driver and nothing else: TensorRT without a driver ends the whole process.
    """
    try:
        cuda = ctypes.CDLL(CUDA_LIBRARY)
    except OSError:
        return f"no NVIDIA driver ({CUDA_LIBRARY} is not there)"
    status = cuda.cuInit(0)
    if status:
        return f"the NVIDIA driver does not start (cuInit gives {status})"
    count = ctypes.c_int(0)
    status = cuda.cuDeviceGetCount(ctypes.byref(count))
    if status or count.value < 1:
        return "the NVIDIA driver finds no GPU"
    return None
