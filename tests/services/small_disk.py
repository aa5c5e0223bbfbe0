"""A file system so small that it is soon full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A new file system at `folder`. Skips where none may be mounted, as for others than root;
    fails if a file of it is left open."""
    folder.mkdir()
    size = f"size={size_bytes}"
    made = _run("mount", "-t", "tmpfs", "-o", size, "eyrie-test", str(folder))
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        held = _run("umount", str(folder))
        if held.returncode:
            _run("umount", "--lazy", str(folder))
            pytest.fail(f"a file was left open: {held.stderr.strip()}")


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False)
