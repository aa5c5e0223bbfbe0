"""Packages and megabytes of the base install, time to import, memory of 1 to 8 1080p streams.

    python -m benchmarks.footprint [--streams 1 2 3 4 6 8] [--frames 150] [--no-install]
        [--json benchmarks/results/footprint.json]

The install is into a new environment, from the locked requirements, as `make demo` does. Memory is
that of `eyrie run` with the default model on ONNX Runtime: live streams decode as a camera does, in
one thread, at 25 frames a second; files as fast as it goes. `peak` is the most ever resident.
What is left out (`--no-install`, `--rounds 0`, `--streams` without numbers) stays in the file.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.footprint.imports import import_times
from benchmarks.footprint.install import installed
from benchmarks.footprint.resident import most_mb, resident
from benchmarks.machine import describe
from benchmarks.throughput import make_clip


def memory(streams: list[int], frames: int, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Runs over a clip of so many frames, live and as files."""
    clip = make_clip(folder / "clip.mp4", frames)
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in ("live", "files"):
        found[kind] = []
        for count in streams:
            held = resident(clip, count, folder / f"{kind}-{count}", live=kind == "live")
            found[kind].append({**held.record(), "bar_mb": most_mb(count)})
            print(f"{kind}: {found[kind][-1]}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="What Eyrie weighs.")
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 2, 3, 4, 6, 8])
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=7, help="of the imports; 0: none")
    parser.add_argument("--no-install", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"machine": describe()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not arguments.no_install:
            figures["install"] = installed(folder)
            print(f"install: {figures['install']}")
        if arguments.rounds:
            figures["import_cpu_s"] = import_times(arguments.rounds)
            print(f"CPU s: {figures['import_cpu_s']}")
        if arguments.streams:
            figures["resident"] = memory(arguments.streams, arguments.frames, folder)
    if arguments.json:
        old = json.loads(arguments.json.read_text("utf-8")) if arguments.json.exists() else {}
        arguments.json.write_text(json.dumps(old | figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
