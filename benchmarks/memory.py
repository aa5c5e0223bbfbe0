"""Peak memory of a training and of a prediction over a large folder.

    python -m benchmarks.memory --data FOLDER [--pictures 6400] [--folder 10000] [--json FILE]

The training is `yolo_nas_n` at 320 px, batch 32, with the process that makes batches; `--pictures`
should be more than the folder has, so that its cache fills. The prediction goes over `--folder`
small pictures by `eyrie model predict`. Memory is proportional set size: pages that processes share
are counted once.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.machine import ROOT, describe

EVERY_S = 0.25
EYRIE = (sys.executable, "-c", "from pipeline.cli import main; main()")
SIDE_PX = 96


def peak_mb(arguments: Sequence[str]) -> dict[str, Any]:
    """Run a command; the most that it and its children held, and what it held at a quarter of the
    samples, in MB."""
    held: list[float] = []
    with subprocess.Popen(
        [*EYRIE, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            held.append(sum(map(_pss_mb, _family(process.pid))))
            time.sleep(EVERY_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}")
    return {"peak_mb": round(max(held)), "quarter_mb": round(max(held[: len(held) // 4]))}


def _family(pid: int) -> list[int]:
    """The process and all below it that are there still."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [pid, *(one for child in text.split() for one in _family(int(child)))]


def _pss_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def training(data: Path, pictures: int, out: Path) -> dict[str, Any]:
    """Peak of the training that the module describes."""
    options = ["--sizes", "320", "--batch", "32", "--pictures", str(pictures), "--device", "cpu"]
    return peak_mb(["model", "train", "--data", str(data), "--out", str(out), *options, "--quiet"])


def prediction(count: int, folder: Path, out: Path) -> dict[str, Any]:
    """Peak of predicting `count` pictures of noise, drawn results left out."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    image = rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), np.roll(image, number, axis=1))
    options = ["--no-save-images", "--quiet"]
    return peak_mb(
        ["model", "predict", "yolo_nas_n_int8", str(folder), "--out", str(out), *options]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of training and prediction.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=6400, help="that the training sees")
    parser.add_argument("--folder", type=int, default=10_000, help="pictures to predict")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        figures = {
            "machine": describe(),
            "prediction": {"pictures": arguments.folder}
            | prediction(arguments.folder, place / "pictures", place / "predicted"),
            "training": {"pictures": arguments.pictures}
            | training(arguments.data.resolve(), arguments.pictures, place / "run"),
        }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
