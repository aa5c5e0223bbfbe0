"""Memory of `eyrie run` with 1080p streams and the default model, seen from outside."""

import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.cpu_time import family
from benchmarks.machine import ROOT

FIRST_MB, FURTHER_MB = 200, 35
"""The most for one stream, and for each further one."""
EYRIE: Final = (sys.executable, "-c", "from pipeline.cli import main; main()")
_EVERY_S = 0.05
_LONGEST_S = 300


@dataclass(frozen=True, slots=True)
class Resident:
    """One run. Megabytes of 10^6 bytes; `files_mb` is the most that was mapped files, mostly
    libraries, which processes share."""

    streams: int
    peak_mb: float
    """The most that the process itself ever held."""
    with_helpers_mb: float
    """The most that it and its children held at a time: one prepares the model at the start, and
    many cameras have worker processes. Mapped files are counted once, those of the process that has
    most; all else is each one's own."""
    steady_mb: float
    """Median of that in the second half of the run."""
    files_mb: float
    threads: int
    frames: int

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {k: round(v, 1) if isinstance(v, float) else v for k, v in asdict(self).items()}


def most_mb(streams: int) -> float:
    """What so many streams may hold."""
    return FIRST_MB + (streams - 1) * FURTHER_MB


def resident(clip: Path, streams: int, folder: Path, *, live: bool) -> Resident:
    """Run the command over `streams` times the clip into JSON lines, on ONNX Runtime, which is what
    the base install has. `live`: at the clip's pace, decoded as a camera is, else as fast as it
    goes. Raises `RuntimeError` when the run fails."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "run.yaml"
    config.write_text(yaml.safe_dump(_config(clip, streams, folder, live)))
    seen: list[dict[str, int]] = []
    with (folder / "log").open("wb") as log:
        command = [*EYRIE, "run", str(config), "--quiet"]
        with subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as process:
            deadline_s = time.monotonic() + _LONGEST_S
            while process.poll() is None and time.monotonic() < deadline_s:
                seen.append(_status(process.pid))
                time.sleep(_EVERY_S)
            process.kill()
    if process.returncode:
        raise RuntimeError(f"eyrie: exit code {process.returncode}\n{(folder / 'log').read_text()}")
    held = [one for one in seen if "VmRSS" in one]
    return Resident(
        streams,
        peak_mb=max(one["peak"] for one in held) * 1.024e-3,
        with_helpers_mb=max(one["together"] for one in held) * 1.024e-3,
        steady_mb=statistics.median(one["together"] for one in held[len(held) // 2 :]) * 1.024e-3,
        files_mb=max(one["RssFile"] for one in held) * 1.024e-3,
        threads=max(one["Threads"] for one in held),
        frames=sum(_frames(path) for path in folder.glob("*.jsonl")),
    )


def _config(clip: Path, streams: int, folder: Path, live: bool) -> dict[str, Any]:
    source: dict[str, Any] = {"kind": "file", "path": str(clip)}
    if live:
        source |= {"realtime": True, "decoder_threads": 1}
    return {
        "model": {"engine": "onnxruntime"},
        "streams": [{"id": f"s{n}", "source": dict(source)} for n in range(streams)],
        "sinks": [{"kind": "jsonl", "path": str(folder / "{stream_id}.jsonl")}],
    }


def _status(pid: int) -> dict[str, int]:
    """kB and counts of a process with its children, what they hold `together`, and its own `peak`
    so far; little is there while it begins or ends."""
    each = [_status_alone(one) for one in family(pid)] or [{}]
    total: Counter[str] = Counter()
    for one in each:
        total.update(one)
    files = max(one.get("RssFile", 0) for one in each)
    together = total["RssAnon"] + total["RssShmem"] + files
    return {**total, "together": together, "peak": each[0].get("VmHWM", 0), "RssFile": files}


def _status_alone(pid: int) -> dict[str, int]:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    return {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+)", text, re.MULTILINE)}


def _frames(path: Path) -> int:
    return path.read_bytes().count(b'"kind":"frame"')
