"""What a motion gate saves, what it misses, how late it is, and what it costs.

    python -m benchmarks.motion_gate [--seconds 60] [--only NAME] [--clips FOLDER]
                                     [--sensitivity 0.5] [--interval-s 5] [--keep FOLDER]
                                     [--json FILE]
    python -m benchmarks.motion_gate --cost | --limits [--json FILE]

Each video is decoded once, and the default model looks at every frame. The same detections then go
through two streams, from the intake to the messages: one that is always on, and one with a gate.
Truth is that of the synthetic street; of recordings in FOLDER, what the always-on stream tracked.
With `--keep FOLDER`, detections are kept there and used again, for other settings of the gate.

`--cost` times the gate alone, on luma planes of 1080p; `--limits` tells what is too small, too
faint or too slow for it.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.detector import load
from benchmarks.machine import describe
from benchmarks.motion_gate.cost import measure_cost
from benchmarks.motion_gate.judge import judge
from benchmarks.motion_gate.limits import measure_limits
from benchmarks.motion_gate.scenes import RECORDINGS, STREETS, Video, render
from benchmarks.motion_gate.sides import play
from detectors.base import Detector
from pipeline.config import MotionGateConfig
from pipeline.core.detections import Detections
from stages.sources.file import FileSource

LIVELY_S = 24.0
"""A lively street needs no more to show that it is never at rest."""


def videos(only: str, seconds: float, clips: Path | None, folder: Path) -> Iterator[Video]:
    """Those whose name has `only` in it, made as they are asked for."""
    for street in STREETS:
        if only in street.name:
            yield render(street, LIVELY_S if street.density == 1 else seconds, folder)
    for name in RECORDINGS:
        if clips is not None and only in name and (clips / name).is_file():
            yield Video(name, clips / name, None)


def measure(
    video: Video, gate: MotionGateConfig, found: Sequence[Detections], labels: Sequence[str]
) -> dict[str, Any]:
    """One row of the result."""
    with av.open(str(video.path)) as container:
        rate = container.streams.video[0].average_rate
    assert rate is not None
    on, gated = play(video.path, found, labels, video.line, [gate])
    return judge(on, gated, video.truth, float(rate)).row()


def detections(video: Video, detector: Detector, keep: Path | None) -> list[Detections]:
    """Of every frame, or those that were kept of it."""
    kept = keep / f"{video.path.stem}.npz" if keep is not None else None
    if kept is not None and kept.is_file():
        with np.load(kept) as told:
            tables = np.split(told["rows"], np.cumsum(told["counts"])[:-1])
        return [Detections(t[:, :4], t[:, 4], t[:, 5].astype(np.int32)) for t in tables]
    frames = FileSource("side", video.path).frames()
    found = [detector.detect([frame.picture])[0] for frame in frames]
    if kept is not None:
        tables = [np.column_stack([f.xyxy, f.score, f.class_id]).astype(np.float32) for f in found]
        np.savez(kept, rows=np.concatenate(tables), counts=[len(f) for f in found])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="What a motion gate saves, and what it misses.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", default="", help="videos with this in their name")
    parser.add_argument("--clips", type=Path, help="folder with recordings")
    parser.add_argument("--sensitivity", type=float, default=0.5)
    parser.add_argument("--interval-s", type=float, default=5)
    parser.add_argument("--model", default="yolo_nas_n_int8")
    parser.add_argument("--keep", type=Path, help="folder for videos and detections")
    parser.add_argument("--cost", action="store_true", help="time the gate, and nothing else")
    parser.add_argument("--limits", action="store_true", help="tell what wakes it, how soon")
    parser.add_argument("--json", type=Path, help="add the rows to this file")
    given = parser.parse_args()
    if given.cost:
        rows = measure_cost()
        print(json.dumps(rows))
        _write(given.json, {"cost": rows})
        return
    if given.limits:
        limits = measure_limits(given.sensitivity)
        print(*(json.dumps(row) for row in limits), sep="\n")
        _write(given.json, {"limits": limits})
        return
    gate = MotionGateConfig(
        sensitivity=given.sensitivity, interval_s=given.interval_s, hold_s=2, looks=2
    )
    detector = load(given.model, threads=0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for video in videos(given.only, given.seconds, given.clips, folder):
            found = detections(video, detector, given.keep)
            row = measure(video, gate, found, detector.labels)
            print(f"{video.name}: {json.dumps(row)}", flush=True)
            _write(given.json, {"videos": {**_known(given.json, "videos"), video.name: row}})


def _known(path: Path | None, key: str) -> dict[str, Any]:
    """What is in the file already: the videos may be measured one by one."""
    if path is None or not path.is_file():
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8")).get(key, {}))


def _write(path: Path | None, parts: dict[str, Any]) -> None:
    if path is None:
        return
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    text = json.dumps({**known, "machine": describe(), **parts}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
