"""Reduced precision where a device gains by it, and the modes of a processor that speed needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import torch

from pipeline.core.errors import ConfigError

CPU = torch.device("cpu")


def device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` -> the device. Raises `ConfigError` when it is not there.

    Of several processes each gets the GPU of its local rank.
    """
    there = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if there else "cpu"
    if name != "cpu" and not name.startswith("cuda"):
        raise ConfigError("--device", f"{name!r} is none of auto, cpu, cuda")
    if name == "cpu":
        return CPU
    if not there:
        raise ConfigError("--device", "torch finds no CUDA device here; use cpu")
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    torch.cuda.set_device(torch.device(name))
    return torch.device(name)


@dataclass(slots=True)
class Precision:
    """bfloat16 on CPUs and on GPUs that have it; float16 with scaled losses on other GPUs."""

    device: torch.device
    wanted: bool
    scaler: torch.amp.GradScaler = field(init=False)
    _dtype: torch.dtype = field(init=False)

    def __post_init__(self) -> None:
        kind = self.device.type
        self._dtype = torch.bfloat16
        if kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
            self._dtype = torch.float16
        scaled = self.wanted and self._dtype == torch.float16
        self.scaler = torch.amp.GradScaler(kind, enabled=scaled)

    def reduced(self) -> AbstractContextManager[object]:
        """The context for a network's forward pass."""
        return torch.autocast(self.device.type, self._dtype, enabled=self.wanted)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Losses close to 0 are several times slower without it. It is a mode of the whole process,
    so it is given back."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
