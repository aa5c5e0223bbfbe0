"""An engine's surroundings without a GPU: every version of the fake, on the CPU's memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

from detectors.engines.tensorrt.platform import Platform
from detectors.engines.tensorrt.probe import Gpu
from tests.detectors.engines.tensorrt.contracted import VERSIONS, World
from tests.detectors.engines.tensorrt.fake_tensorrt import make
from tests.detectors.engines.tensorrt.host_stream import HostStream
from tests.detectors.engines.tensorrt.small_network import network, quantized, saved

GPU = Gpu("Fake GPU", (9, 0), 2**34)
MakePlatform = Callable[..., Platform]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each version of the contract in turn."""
    return str(request.param)


@pytest.fixture
def world() -> World:
    """What the fake saw, and what shall fail in it."""
    return World()


@pytest.fixture
def make_platform(world: World) -> MakePlatform:
    """A platform of a version, on a GPU, with a stream."""

    def made(version: str, gpu: Gpu = GPU, stream: HostStream | None = None) -> Platform:
        return Platform(gpu, make(version, world), lambda: stream or HostStream())

    return made


@pytest.fixture
def fp32_file(tmp_path: Path) -> Path:
    """The small network in FP32."""
    return saved(network(), tmp_path / "small.onnx")


@pytest.fixture
def int8_file(tmp_path: Path) -> Path:
    """The small network in INT8."""
    return saved(quantized(), tmp_path / "small_int8.onnx")
