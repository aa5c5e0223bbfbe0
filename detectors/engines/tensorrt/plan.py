"""A built engine as a file, with what it was built from and for, and the folder that keeps them.

A plan fits one version of TensorRT, one GPU architecture, one ONNX file and one set of options: its
key. TensorRT itself is shown only bytes whose key and checksum are right, for what it does with
others is not defined. The file: a magic line, the length of a JSON header, the header, the plan.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from detectors.base import Precision
from pipeline.core.errors import EngineLoadError
from pipeline.core.log import get_logger, one_line

log = get_logger(__name__)
MAGIC = b"EYRIE TENSORRT PLAN 1\n"
_LENGTH = struct.Struct("<I")
_OTHER = "is no plan that eyrie model build made"

Typing = Literal["strong", "flags"]


@dataclass(frozen=True, slots=True)
class PlanKey:
    """What a plan fits; two plans with equal keys can stand for each other."""

    tensorrt: str
    architecture: str
    onnx_sha256: str
    precision: Precision
    max_batch: int
    best_batch: int
    workspace_mib: int
    level: int

    def differences(self, other: PlanKey) -> str:
        """What of `self` is not so in `other`, in words; empty when they are equal."""
        mine, others = asdict(self), asdict(other)
        parts = [f"{k} {mine[k]} and not {others[k]}" for k in mine if mine[k] != others[k]]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Plan:
    """A built engine. `information` is what TensorRT's inspector said of it, as JSON."""

    key: PlanKey
    engine: bytes = field(repr=False)
    typing: Typing
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    planned_int8: tuple[str, ...]
    """The convolutions that the ONNX file wanted in 8 bits."""
    metadata: dict[str, str] = field(repr=False)
    """The metadata of the ONNX file."""
    gpu: str
    information: str = field(repr=False)


class PlanError(EngineLoadError):
    """A plan file that cannot be used: foreign, damaged, or built for something else."""


def write(path: Path, plan: Plan) -> None:
    """Write the file whole or not at all. Raises OSError."""
    said = asdict(plan)
    del said["engine"]
    said["engine_sha256"] = hashlib.sha256(plan.engine).hexdigest()
    header = json.dumps(said).encode()
    write_whole(path, MAGIC + _LENGTH.pack(len(header)) + header + plan.engine)


def read(path: Path) -> Plan:
    """A plan file that is undamaged. Raises `PlanError`, and OSError."""
    content = path.read_bytes()
    start = len(MAGIC) + _LENGTH.size
    if not content.startswith(MAGIC) or len(content) < start:
        raise PlanError(f"plan {path}: {_OTHER}; build it from its ONNX file")
    (length,) = _LENGTH.unpack_from(content, len(MAGIC))
    header, engine = content[start : start + length], content[start + length :]
    try:
        said: dict[str, Any] = json.loads(header)
        sha256 = said.pop("engine_sha256")
        said["key"] = PlanKey(**said["key"])
        lists = {name: tuple(said[name]) for name in ("inputs", "outputs", "planned_int8")}
        plan = Plan(**said | lists, engine=engine)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PlanError(f"plan {path}: its header is damaged; build it again") from error
    if hashlib.sha256(engine).hexdigest() != sha256:
        raise PlanError(f"plan {path}: is damaged (its checksum is wrong); build it again")
    return plan


def is_plan(path: Path) -> bool:
    """Whether a file begins as one that `write` wrote. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in place at once, so that no reader sees a half of it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class PlanCache:
    """A folder of plans and of timing caches. Files that cannot be used are built again."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder or default_folder()

    def path(self, key: PlanKey, stem: str) -> Path:
        """Where the plan for `key` is kept, however TensorRT's version and options change."""
        short = key.onnx_sha256[:12]
        name = f"{stem}-{short}-{key.precision}-b{key.max_batch}-{key.architecture}.plan"
        return self.folder / name

    def find(self, key: PlanKey, stem: str) -> Plan | None:
        """The plan for `key`; None, with a line in the log, where there is none that fits."""
        path = self.path(key, stem)
        try:
            plan = read(path)
        except FileNotFoundError:
            log.info("no plan for %s yet: building one, which takes minutes", stem)
            return None
        except (PlanError, OSError) as error:
            log.warning("%s; building anew", error)
            return None
        differences = plan.key.differences(key)
        if differences:
            log.warning("plan %s: is for %s; building anew", path, differences)
            return None
        return plan

    def keep(self, plan: Plan, stem: str) -> Path | None:
        """Store a plan; None, with a line in the log, where the folder does not take it."""
        path = self.path(plan.key, stem)
        try:
            write(path, plan)
        except OSError as error:
            log.warning("plan %s: not kept (%s): the next start builds it again", path, error)
            return None
        return path

    def timings(self, key: PlanKey) -> bytes:
        """What was measured of kernels for this version and GPU; empty where nothing was."""
        try:
            content = self._timing_path(key).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            log.warning("timing cache: %s; starting an empty one", one_line(str(error)))
            return b""
        digest, timings = content[:32], content[32:]
        if hashlib.sha256(timings).digest() != digest:
            log.warning("timing cache %s: is damaged; starting an empty one", self.folder)
            return b""
        return timings

    def keep_timings(self, key: PlanKey, timings: bytes) -> None:
        """Store them; where the folder does not take them, the log says so."""
        try:
            write_whole(self._timing_path(key), hashlib.sha256(timings).digest() + timings)
        except OSError as error:
            log.warning("timing cache: not kept (%s)", one_line(str(error)))

    def _timing_path(self, key: PlanKey) -> Path:
        return self.folder / f"timing-{key.tensorrt}-{key.architecture}.cache"


def default_folder() -> Path:
    """`$XDG_CACHE_HOME/eyrie/tensorrt`, by default `~/.cache/eyrie/tensorrt`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "eyrie" / "tensorrt"
