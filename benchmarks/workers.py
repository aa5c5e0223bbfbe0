"""What worker processes cost and save: CPU time, and the hold on Python's lock.

    python -m benchmarks.workers [--streams 1 4 8] [--workers 0 1 2] [--rounds 3] [--json FILE]
        [--full-speed] [--model] [--clip FILE | --cif]

Files are played as cameras of 25 frames a second, or read as fast as it goes (`--full-speed`). The
detector takes each picture at 416 x 416 and finds 10 standing people without looking: what is left
is what the machinery costs beside an engine. With `--model`, it is the default one.

Each case is a process of its own, watched from outside from its first frames on: CPU time of the
main process and of its workers by /proc, the lock of the main process by `benchmarks.gil_sampler`.
Cases take turns in every round; of the rounds, the median.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.cpu_time import family, tree_cpu_s
from benchmarks.gil_sampler import Sampler, find_lock, runtime_address
from benchmarks.machine import describe
from benchmarks.scaling.publishing import standing
from detectors.letterbox import Letterbox
from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.bench.clips import make_clip
from pipeline.config.file import parse_config

PEOPLE: Final = 10
WARM_FRAMES: Final = 10
SECONDS: Final = 4.0
CLIP_FRAMES: Final = {False: 400, True: 3000}
"""With `--cif` or not: more than are seen while a run is watched."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run: `clip` for every stream, until `SECONDS` have been watched. `live`: played as a
    camera. `model`: with the default model, else one that finds people without looking."""

    clip: str
    streams: int
    workers: int
    live: bool
    model: bool


async def child(case: Case) -> None:
    """The run itself: says where the lock is, when it is warm, and its frames as it is asked."""
    source = {"kind": "file", "path": case.clip, "realtime": case.live}
    with tempfile.TemporaryDirectory() as folder:
        config = parse_config(
            {
                "streams": [{"id": f"s{n}", "source": source} for n in range(case.streams)],
                "sinks": [{"kind": "jsonl", "path": f"{folder}/{{stream_id}}.jsonl"}],
                "model": {"engine": "onnxruntime"},
                "workers": case.workers,
                "parallel_files": case.streams,
            }
        )
        people = standing(PEOPLE)
        scripted = ScriptedDetector(("person",), lambda _: people, letterbox=Letterbox(416, 416))
        async with Pipeline(config, detector=None if case.model else scripted) as pipeline:
            while any(s.published < WARM_FRAMES for s in pipeline.report().streams):
                await asyncio.sleep(0.02)
            print(runtime_address(), flush=True)
            while await asyncio.to_thread(sys.stdin.readline):
                print(sum(s.published for s in pipeline.report().streams), flush=True)


def watch(case: Case, lock: int) -> dict[str, float]:
    """The figures of one run."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.workers", "--child", json.dumps(asdict(case))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        sampler = Sampler(process.pid, int(process.stdout.readline()), lock)
        frames, begin_s = -_ask(process), time.monotonic()
        whole_s, main_s = -tree_cpu_s(process.pid), -_own_cpu_s(process.pid)
        sampler.look_until(begin_s + SECONDS)
        frames += _ask(process)
        wall_s = time.monotonic() - begin_s
        whole_s, main_s = whole_s + tree_cpu_s(process.pid), main_s + _own_cpu_s(process.pid)
        sampler.close()
        process.kill()
    return {
        "fps": frames / wall_s,
        "cpu_ms": 1000 * whole_s / frames,
        "main_ms": 1000 * main_s / frames,
        "gil_share": sampler.share,
        "gil_ms": 1000 * sampler.share * wall_s / frames,
    }


def _ask(process: "subprocess.Popen[str]") -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("frames\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def _own_cpu_s(pid: int) -> float:
    return tree_cpu_s(pid) - sum(tree_cpu_s(one) for one in family(pid)[1:])


def measure(cases: Sequence[Case], rounds: int) -> list[dict[str, Any]]:
    """By case: medians over the rounds, in which the cases take turns."""
    lock = find_lock()
    found: list[list[dict[str, float]]] = [[] for _ in cases]
    for _ in range(rounds):
        for case, figures in zip(cases, found, strict=True):
            figures.append(watch(case, lock))
    return [
        {
            "streams": case.streams,
            "workers": case.workers,
            **{key: round(statistics.median(one[key] for one in figures), 3) for key in figures[0]},
        }
        for case, figures in zip(cases, found, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure worker processes.")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clip", type=Path, help="instead of a 1080p clip made for it")
    parser.add_argument("--cif", action="store_true", help="a clip of 352 x 288")
    parser.add_argument("--full-speed", action="store_true")
    parser.add_argument("--model", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        asyncio.run(child(Case(**arguments.child)))
        return
    with tempfile.TemporaryDirectory() as folder:
        size = (352, 288) if arguments.cif else (1920, 1080)
        frames = CLIP_FRAMES[arguments.cif]
        clip = arguments.clip or make_clip(Path(folder) / "clip.mp4", *size, frames)
        cases = [
            Case(str(clip), streams, workers, not arguments.full_speed, arguments.model)
            for streams in arguments.streams
            for workers in arguments.workers
        ]
        found = measure(cases, arguments.rounds)
    for row in found:
        print("  ".join(f"{key} {value:g}" for key, value in row.items()))
    if arguments.json:
        how = {
            "clip": arguments.clip.name if arguments.clip else f"{size[0]}x{size[1]}",
            "full_speed": arguments.full_speed,
            "model": arguments.model,
            "rounds": arguments.rounds,
        }
        result = {"machine": describe(), **how, "cases": found}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
