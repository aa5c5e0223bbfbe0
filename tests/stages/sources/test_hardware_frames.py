"""What FFmpeg, PyAV and Eyrie make of a device's pictures, by a CUDA driver without a GPU.

The driver is the stand-in; FFmpeg's use of it, the download to system memory, and all behind it are
real. Its pictures are dark above and light below, whatever was encoded.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from av.codec.hwaccel import hwdevices_available

from tests.services import numbered
from tests.stages.sources.clips import encode

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "tests/services/driver_without_gpu.c"
FRAMES = 20


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the driver's libraries."""
    if "cuda" not in hwdevices_available():
        pytest.skip("FFmpeg is built without cuda")
    folder = tmp_path_factory.mktemp("driver")
    for name in ("libcuda.so.1", "libnvcuvid.so.1"):
        command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(folder / name), str(SOURCE)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("gcc is not installed")
    return folder


def decode_by(driver: Path, clip: Path, asked: str, **more: str) -> dict[str, Any]:
    env = {**os.environ, "LD_LIBRARY_PATH": str(driver), **more}
    command = [sys.executable, "-m", "tests.services.decode_by", str(clip), asked]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("asked", ["cuda", "auto"])
@pytest.mark.parametrize("turn", [0, 180])
def test_times_sizes_and_side_data_are_those_of_software(
    asked: str, turn: int, driver: Path, tmp_path: Path
) -> None:
    clip = encode(tmp_path / "b_frames.mp4", FRAMES, size=(320, 240), turn=turn)
    soft = decode_by(driver, clip, "none")
    hard = decode_by(driver, clip, asked)
    assert hard["decoder"] == "cuda"
    assert hard["error"] is None
    assert len(hard["pts_ns"]) == FRAMES
    for key in ("seq", "pts_ns", "shapes", "dropped"):
        assert hard[key] == soft[key]
    first, last = hard["origin"], hard["corners"]
    assert len(first) == len(last) == 1
    upper, lower = (last, first) if turn else (first, last)
    assert max(upper[0]) < 80 < 180 < min(lower[0])


def test_hevc(driver: Path, tmp_path: Path) -> None:
    clip = numbered.make(tmp_path / "hevc.mp4", FRAMES, codec="libx265", b_frames=2)
    hard = decode_by(driver, clip, "cuda")
    assert (hard["decoder"], hard["error"]) == ("cuda", None)
    assert hard["pts_ns"] == decode_by(driver, clip, "none")["pts_ns"]


def test_a_video_that_the_device_refuses_is_an_error_and_software_only_for_auto(
    driver: Path, tmp_path: Path
) -> None:
    clip = encode(tmp_path / "a.mp4", FRAMES, size=(320, 240))
    why = "the cuda device does not decode this video (h264, 320x240, yuv420p)"
    named = decode_by(driver, clip, "cuda", REFUSES="1")
    assert named["error"] == f"stream 'clip': hwaccel cuda: {why}"
    assert named["pts_ns"] == []
    auto = decode_by(driver, clip, "auto", REFUSES="1")
    assert auto["error"] is None
    assert auto["decoder"] == f"software ({why})"
    soft = decode_by(driver, clip, "none")
    assert auto | {"decoder": "software"} == soft


def test_a_codec_that_the_device_does_not_know(driver: Path, tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mkv", FRAMES, codec="ffv1")
    why = "the cuda device does not decode this video (ffv1, 64x48)"
    assert decode_by(driver, clip, "cuda")["error"] == f"stream 'clip': hwaccel cuda: {why}"
    auto = decode_by(driver, clip, "auto")
    assert (auto["decoder"], len(auto["seq"])) == (f"software ({why})", FRAMES)
