"""A new environment with what a run needs, and how much lies in it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import ROOT

BASE: Final = ROOT / "requirements" / "base.txt"
PACKAGES: Final = ("pipeline", "stages", "detectors", "sinks")
MOST_PACKAGES, MOST_MB = 40, 460
_LARGE_MB = 5


def locked_packages() -> list[str]:
    """Names of the packages that a run needs, as the lock file of the base install tells them."""
    lines = BASE.read_text(encoding="utf-8").splitlines()
    return [found[1] for line in lines if (found := re.match(r"([A-Za-z0-9._-]+)==", line))]


def installed(folder: Path) -> dict[str, Any]:
    """Install into a new environment in `folder`, by the commands of `make demo`, and weigh it.

    Megabytes are of 10^6 bytes, and of contents: what a file system rounds up is left out. Asks the
    package registry for what uv does not hold already.
    """
    environment = folder / "environment"
    uv = Path(sys.executable).with_name("uv")
    into = ("--quiet", "--python", str(environment / "bin" / "python"))
    _run(uv, "venv", "--quiet", "--python", sys.executable, environment)
    _run(uv, "pip", "install", *into, "-r", BASE)
    places = sorted(environment.glob("lib/python*/site-packages"))
    bare_bytes = _bytes(places[0])
    _run(uv, "pip", "install", *into, "--compile-bytecode", "--reinstall", "-r", BASE)
    _run(uv, "pip", "install", *into, "--no-deps", "--editable", ROOT)
    own_bytes = sum(_bytes(ROOT / name) for name in PACKAGES)
    compiled_bytes = _bytes(places[0])
    return {
        "packages": len(list(places[0].glob("*.dist-info"))) - 1,
        "packages_mb": _mb(bare_bytes),
        "bytecode_mb": _mb(compiled_bytes - bare_bytes),
        "eyrie_mb": _mb(own_bytes),
        "whole_mb": _mb(compiled_bytes + own_bytes),
        "without_bytecode_mb": _mb(bare_bytes + own_bytes),
        "largest_mb": _largest(places[0]),
    }


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT)


def _mb(size_bytes: int) -> float:
    return round(size_bytes / 1e6, 1)


def _bytes(folder: Path) -> int:
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and _is_ours(path):
            yield path.stat().st_size


def _is_ours(path: Path) -> bool:
    """Checkpoints for training are in the repository, and in no wheel; bytecode of the checkout is
    that of whoever ran it last."""
    in_checkout = path.is_relative_to(ROOT) and "site-packages" not in path.parts
    return not (in_checkout and (path.suffix == ".pth" or "__pycache__" in path.parts))


def _largest(site: Path) -> dict[str, float]:
    sizes = {path.name: _mb(_bytes(path)) for path in site.iterdir() if path.is_dir()}
    large = sorted(sizes.items(), key=lambda item: -item[1])
    return {name: size_mb for name, size_mb in large if size_mb >= _LARGE_MB}
