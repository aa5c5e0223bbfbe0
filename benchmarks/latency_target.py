"""Latency against `batch.latency_target_ms`: live streams, the default model, one process.

    python -m benchmarks.latency_target [--case NAME ...] [--seconds 12] [--out FILE.json]

Each case is some live streams of 352 x 288 pixels, whose pictures come at other moments of a
period, and one run without a target (batches of what waits, up to `BATCH`) and one for each
target, one after the other. After `SETTLE_S`, over the last 10 s of a run:

- `handed_on_ms`: from a frame's coming into its lane until its detections are handed to the publish
  thread: what the target is about.
- `published_ms`: from the end of its decoding until its message is made.
- `batch`: frames in a batch; `cpu_ms`: CPU time of the process for each published frame.
- the account of the whole run: `decoded = published + dropped` must hold.

With `--out`, cases that were not asked for stay in the file as they are.
"""

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from pipeline import Pipeline
from pipeline.account import Report
from pipeline.config.file import parse_config
from pipeline.core.messages import FrameMessage, decode
from pipeline.load.gate import GOLDEN
from pipeline.load.pace import WINDOW_S
from sinks.memory import MemorySink
from tests.services import numbered

SIZE_PX, SETTLE_S, BATCH = (352, 288), 8.0, 4


@dataclass(frozen=True, slots=True)
class Case:
    """So many streams of one rate; priorities go round from 1 to `classes`."""

    streams: int
    fps: int
    targets_ms: tuple[float, ...]
    classes: int = 1


CASES = {
    "light": Case(4, 10, (60,)),
    "busy": Case(4, 25, (60, 120)),
    "sixteen": Case(16, 5, (120,)),
    "overload": Case(12, 25, (120,), classes=3),
}


async def measure(
    case: Case, target_ms: float | None, clip: Path, seconds: float, hint: str | None
) -> dict[str, Any]:
    """One run."""
    sink = MemorySink()
    streams = [_stream(number, case, clip) for number in range(case.streams)]
    config = parse_config(
        {
            "streams": streams,
            "batch": {"size": BATCH, "latency_target_ms": target_ms},
            "model": {"hint": hint or ("throughput" if case.streams > 1 else "latency")},
        }
    )
    first = config.model_copy(update={"streams": config.streams[:1]})
    async with Pipeline(first, sinks=[sink]) as pipeline:
        for stream in config.streams[1:]:
            await asyncio.sleep((1 + GOLDEN) / case.fps)  # cameras are not in phase
            await pipeline.add(stream)
        await asyncio.sleep(SETTLE_S + max(seconds - WINDOW_S, 0))
        began, cpu_s = datetime.now(UTC), time.process_time()
        await asyncio.sleep(min(seconds, WINDOW_S))
        cpu_s, ended, told = time.process_time() - cpu_s, datetime.now(UTC), pipeline.report()
        pipeline.drain()
        report = await pipeline.wait()
    messages = [decode(sent.body) for sent in sink.messages]
    frames = [
        m for m in messages if isinstance(m, FrameMessage) and began <= m.published_at < ended
    ]
    ages_ms = [(f.published_at - f.arrived_at).total_seconds() * 1000 for f in frames]
    span_s = (ended - began).total_seconds()
    return {
        "target_ms": target_ms,
        **_latency(told),
        "published_ms": dict(zip(("p50", "p95", "p99"), _quantiles(ages_ms), strict=True)),
        "published_fps": round(len(frames) / span_s, 1),
        "cpu_ms": round(1000 * cpu_s / max(len(frames), 1), 2),
        **_account(report),
    }


def _stream(number: int, case: Case, clip: Path) -> dict[str, Any]:
    return {
        "id": f"cam{number}",
        "source": {"kind": "file", "path": str(clip), "realtime": True, "decoder_threads": 1},
        "priority": 1 + number % case.classes,
        "min_fps": 2,
        "fps": case.fps,
    }


def _quantiles(values: list[float]) -> list[float]:
    found = np.percentile(values or [0.0], [50, 95, 99])
    return [round(float(value), 1) for value in found]


def _latency(told: Report) -> dict[str, Any]:
    latency = told.latency
    return {
        "handed_on_ms": {
            "p50": round(latency.p50_ms, 1),
            "p95": round(latency.p95_ms, 1),
            "p99": round(latency.p99_ms, 1),
        },
        "batch": round(latency.mean_size, 2),
        "planned": {
            "size": latency.size,
            "within_ms": None if latency.within_ms is None else round(latency.within_ms, 1),
            "one_frame_ms": round(latency.one_frame_ms, 1),
            "spread": round(latency.spread, 2),
        },
        "holds": latency.holds,
        "load": told.load.stage,
    }


def _account(report: Report) -> dict[str, Any]:
    dropped: dict[str, int] = {}
    for stream in report.streams:
        for reason, count in stream.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return {
        "decoded": sum(stream.decoded for stream in report.streams),
        "published": sum(stream.published for stream in report.streams),
        "published_by_stream": {stream.stream_id: stream.published for stream in report.streams},
        "dropped": dropped,
        "missed": report.latency.missed,
        "identity_holds": all(
            s.decoded == s.published + sum(s.dropped.values()) for s in report.streams
        ),
    }


def run_case(case: Case, folder: Path, seconds: float, hint: str | None) -> dict[str, Any]:
    """Without a target, then with each."""
    frames = round((SETTLE_S + seconds + 10) * case.fps)
    clip = numbered.make(folder / f"{case.fps}.mp4", frames, size=SIZE_PX, fps=case.fps)
    runs = []
    for target_ms in (None, *case.targets_ms):
        runs.append(asyncio.run(measure(case, target_ms, clip, seconds, hint)))
        print(json.dumps(runs[-1]), flush=True)
    return {"machine": machine.describe(), "streams": case.streams, "fps": case.fps, "runs": runs}


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency against a target, with live streams.")
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--hint", choices=("latency", "throughput"), help="of the model")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    figures = {}
    if arguments.out is not None and arguments.out.exists():
        figures = json.loads(arguments.out.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.case:
            print(name, CASES[name], flush=True)
            figures[name] = run_case(CASES[name], Path(folder), arguments.seconds, arguments.hint)
    if arguments.out is not None:
        arguments.out.write_text(f"{json.dumps(figures, indent=2)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
