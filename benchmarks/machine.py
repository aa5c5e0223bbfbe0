"""Where a number was measured, which is part of every result, and where the data for it lie."""

import os
import platform
import subprocess
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("EYRIE_DATA") or ROOT.parent / "shared")
"""Recordings and pictures that are no part of the repository; see CONTRIBUTING.md, "Data"."""


def describe() -> dict[str, str]:
    """Machine, commit and versions."""
    return {
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "commit": _commit(),
        "onnxruntime": str(onnxruntime.__version__),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
