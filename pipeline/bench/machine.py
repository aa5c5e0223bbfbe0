"""Where figures were measured: part of every result."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from detectors.engines.device import cpu_name
from pipeline import __version__

_PACKAGES = ("av", "numpy", "onnxruntime", "openvino", "opencv-python-headless")


def describe() -> dict[str, str]:
    """The CPU with its cores, the load before, and the versions of what computes."""
    found = {
        "cpu": cpu_name(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "eyrie": f"{__version__}{_commit()}",
        "load": f"{os.getloadavg()[0]:.2f}",
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _commit() -> str:
    """The commit of the source tree that runs, where it is one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return ""
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return f" ({done.stdout.strip()})" if done.returncode == 0 else ""
