"""Pictures by planes: CPU time above decoding, and accuracy against full RGB.

    python -m benchmarks.planes [--threads 1] [--frames 300] [--rounds 5] [--json FILE]
    python -m benchmarks.planes --accuracy [--pictures FOLDER] [--seconds 24] [--json FILE]

Time: a 1080p H.264 clip made for it, by turns through a plain PyAV loop and through the pipeline,
all of whose CPU time counts: decoding, pictures, batches, tracking, messages to a file. Accuracy:
the same decoded pictures by planes and as RGB through the same network; `--pictures` is a data set
in the layout of `eyrie model train`, with a part `val`, and is left out if it is not given.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.planes import accuracy, cost
from benchmarks.throughput import make_clip


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures by planes: time and accuracy.")
    parser.add_argument("--accuracy", action="store_true")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--model", default="yolo_nas_n_int8")
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--clip", type=Path, help="another 1080p file instead")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = _measure(arguments, Path(name))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = {"machine": describe()}
    if arguments.accuracy:
        told["model"] = arguments.model
        told["accuracy"] = accuracy.measure(
            arguments.model, arguments.pictures, folder, arguments.seconds
        )
        for kind, figures in told["accuracy"].items():
            print(f"{kind}: {figures}")
        return told
    clip = arguments.clip or make_clip(folder / "clip.mp4", arguments.frames)
    told |= {"threads": arguments.threads, "frames": arguments.frames, "rounds": arguments.rounds}
    told["cost"] = cost.measure(clip, arguments.threads, folder, arguments.rounds)
    for loop, figures in told["cost"].items():
        print(f"{loop:<36}{figures['cpu_ms']}  above decoding {figures['above_decode_ms']}")
    return told


if __name__ == "__main__":
    main()
