"""What is missing on a machine is said in one line, before TensorRT is touched."""

from __future__ import annotations

import builtins
import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from detectors.engines.options import EngineOptions
from detectors.engines.tensorrt import TensorRtEngine
from detectors.engines.tensorrt.probe import load_tensorrt, load_torch, probe, version_numbers
from pipeline.core.errors import EngineLoadError


class FakeDriver:
    """libcuda, answering through the pointers it is given. `failing` is a function that fails."""

    def __init__(self, devices: int = 1, failing: str = "") -> None:
        self.devices, self.failing = devices, failing

    def __getattr__(self, function: str) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            if function == self.failing:
                return 100
            self._answer(function, arguments)
            return 0

        return call

    def _answer(self, function: str, arguments: tuple[Any, ...]) -> None:
        match function:
            case "cuDeviceGetCount":
                arguments[0]._obj.value = self.devices
            case "cuDeviceGetName":
                arguments[0].value = b"NVIDIA H200"
            case "cuDeviceGetAttribute":
                arguments[0]._obj.value = {75: 9, 76: 0}[arguments[1]]
            case "cuDeviceTotalMem_v2":
                arguments[0]._obj.value = 139 * 2**30


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(**how: Any) -> None:
        fake = FakeDriver(**how)
        monkeypatch.setattr(ctypes, "CDLL", lambda name: fake)

    return install


@pytest.fixture
def no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test that touches TensorRT."""
    real = builtins.__import__

    def watched(name: str, *rest: Any, **more: Any) -> ModuleType:
        assert name != "tensorrt", "TensorRT was touched before the driver answered"
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", watched)
    monkeypatch.setitem(sys.modules, "tensorrt", None)


def test_gpu_is_what_the_driver_says(driver: Callable[..., None]) -> None:
    driver()
    gpu = probe()
    assert (gpu.name, gpu.architecture, gpu.memory_bytes) == ("NVIDIA H200", "sm90", 139 * 2**30)


@pytest.mark.usefixtures("no_tensorrt")
def test_no_driver(monkeypatch: pytest.MonkeyPatch, int8_file: Path) -> None:
    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(EngineLoadError, match="no NVIDIA driver") as error:
        TensorRtEngine(int8_file, EngineOptions())
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("no_tensorrt")
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"failing": "cuInit"}, "the NVIDIA driver does not start"),
        ({"devices": 0}, "the NVIDIA driver finds no GPU"),
        ({"failing": "cuDeviceGet"}, "does not answer"),
        ({"failing": "cuDeviceGetName"}, "does not answer"),
        ({"failing": "cuDeviceGetAttribute"}, "does not answer"),
        ({"failing": "cuDeviceTotalMem_v2"}, "does not answer"),
    ],
)
def test_driver_without_a_gpu(
    driver: Callable[..., None], int8_file: Path, how: dict[str, Any], said: str
) -> None:
    driver(**how)
    with pytest.raises(EngineLoadError, match=said):
        TensorRtEngine(int8_file, EngineOptions())


def test_tensorrt_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineLoadError, match=r"cannot be imported.*pip install 'eyrie\[gpu\]'"):
        load_tensorrt()


@pytest.mark.parametrize("version", ["8.6.1", "10.5.0", "", "ten"])
def test_tensorrt_too_old(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__=version))
    with pytest.raises(EngineLoadError, match=f"TensorRT {version} is older than 10.6"):
        load_tensorrt()


@pytest.mark.parametrize("version", ["10.6.0", "10.13.2.6", "11.4.0.106"])
def test_tensorrt_new_enough(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__=version))
    assert load_tensorrt().__version__ == version
    assert version_numbers(version) >= (10, 6)


def test_torch_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(
        __version__="2.6+cpu",
        cuda=SimpleNamespace(is_available=lambda: False),
        version=SimpleNamespace(cuda=None),
    )
    monkeypatch.setitem(sys.modules, "torch", fake)
    with pytest.raises(EngineLoadError, match=r"torch 2.6\+cpu cannot use the GPU"):
        load_torch()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineLoadError, match="torch cannot be imported"):
        load_torch()
