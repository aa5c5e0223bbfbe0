"""Bars of what Eyrie weighs that can be looked at without a network: packages, imports, memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.footprint.imports import COMMANDS, MOST_CPU_S, cpu_s
from benchmarks.footprint.install import MOST_PACKAGES, locked_packages
from benchmarks.footprint.resident import most_mb, resident
from benchmarks.machine import ROOT
from benchmarks.throughput import make_clip

FRAMES = 40
HEAVY = ("av", "cv2", "numpy", "onnx", "onnxruntime", "pydantic", "torch")

LIBRARIES_MB = 94.1
"""Of them as a base install maps them: `files_mb` of benchmarks/results/footprint.json."""


def test_the_base_install_is_small() -> None:
    assert 10 < len(locked_packages()) <= MOST_PACKAGES


def test_importing_pipeline_is_quick() -> None:
    """The least of three: what the machine does meanwhile only adds to it."""
    assert min(cpu_s(COMMANDS["import pipeline"]) for _ in range(3)) <= MOST_CPU_S


def test_importing_pipeline_imports_nothing_heavy() -> None:
    program = "import pipeline, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert not set(done.stdout.split()) & set(HEAVY)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", FRAMES)


@pytest.mark.parametrize("streams", [1, 3])
def test_streams_of_1080p_stay_within_their_memory(
    clip: Path, tmp_path: Path, streams: int
) -> None:
    """While they run: `python -m benchmarks.footprint` has the peak at the start, too. How much of
    the libraries is mapped differs by environment and moment: the rest is held to the bar."""
    held = resident(clip, streams, tmp_path, live=True)
    assert held.frames > streams
    own_mb = held.steady_mb - held.files_mb
    assert 20 < own_mb <= most_mb(streams) - LIBRARIES_MB, held
