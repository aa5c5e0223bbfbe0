"""Eight RTSP cameras, one hung, one flapping, one garbage: what the other five lose, and when.

    python -m benchmarks.eight_cameras [--seconds 120] [--out FILE.json]

A real RTSP server, small pictures that carry their number, and a detector that reads it. First all
eight are well for half the time, then three fail. For each of the five: frames, numbers missing or
repeated, and pictures that were none of the camera's; for all five the age of frames (from the
arrival of the picture to the publication of its message) before and with the faults.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.messages import FrameMessage, decode
from sinks.memory import MemorySink
from tests.services import numbered
from tests.services.cameras import CameraSite
from tests.services.relay import Relay

GOOD = tuple(f"good-{number}" for number in range(5))
CLIP_FRAMES = 100
FLAP_EVERY_S = 2.0
WINDOW_S = 5.0


def stream(stream_id: str, url: str) -> dict[str, Any]:
    """Its section. The lane holds ten seconds, for a machine that has other work too."""
    source = {"kind": "rtsp", "url": url, "read_timeout_s": 3, "longest_pause_s": 2}
    return {"id": stream_id, "source": source, "queue_frames": 10 * numbered.FPS}


async def measure(folder: Path, seconds: float) -> dict[str, Any]:
    """One run: `seconds / 2` of health, then `seconds` with three faults."""
    clip = numbered.make(folder / "clip.mp4", CLIP_FRAMES)
    with ExitStack() as stack:
        sites = [_site(stack, folder / name, clip) for name in ("well", "hung", "others")]
        well, hung, others = sites
        flapping, garbage = (stack.enter_context(Relay(others.port)) for _ in range(2))
        urls = {name: well.url("clip") for name in GOOD}
        urls["hung"] = hung.url("clip")
        urls["flapping"] = f"rtsp://127.0.0.1:{flapping.port}/clip"
        urls["garbage"] = f"rtsp://127.0.0.1:{garbage.port}/clip"
        sink = MemorySink()
        streams = [stream(name, url) for name, url in urls.items()]
        config = parse_config({"streams": streams, "tracking": {"enabled": False}})
        async with Pipeline(config, detector=numbered.READER, sinks=[sink]) as pipeline:
            await _all_up(pipeline, 60)
            began = datetime.now(UTC)
            await asyncio.sleep(seconds / 2)
            failed = datetime.now(UTC)
            hung.pause()
            garbage.mode = "garble"
            for _ in range(max(1, round(seconds / FLAP_EVERY_S))):
                await asyncio.sleep(FLAP_EVERY_S)
                flapping.cut()
            pipeline.drain()
            stop_s = time.monotonic()
            report = await pipeline.wait()
            stop_s = time.monotonic() - stop_s
            hung.resume()
    frames = [m for m in (decode(o.body) for o in sink.messages) if isinstance(m, FrameMessage)]
    return {
        "seconds_with_faults": seconds,
        "stop_s": round(stop_s, 2),
        "good": {name: _account(frames, name) for name in GOOD},
        "age_ms_of_good": {
            "before": _ages([f for f in frames if began <= f.published_at < failed]),
            "with_faults": _ages([f for f in frames if f.published_at >= failed]),
        },
        "bad": {
            s.stream_id: {
                name: getattr(s.connections, name) for name in ("up", "failed", "abandoned", "hung")
            }
            for s in report.streams
            if s.stream_id not in GOOD
        },
        "overflow": {s.stream_id: s.dropped.get("overflow", 0) for s in report.streams},
        "identity_holds": all(
            s.decoded == s.published + sum(s.dropped.values()) for s in report.streams
        ),
    }


def _site(stack: ExitStack, folder: Path, clip: Path) -> CameraSite:
    folder.mkdir()
    site = CameraSite(folder, {"clip": clip})
    stack.callback(site.stop)
    stack.callback(site.resume)
    site.start()
    return site


async def _all_up(pipeline: Pipeline, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while any(s.published < numbered.FPS for s in pipeline.report().streams):
            await asyncio.sleep(0.05)


def _account(frames: Sequence[FrameMessage], stream_id: str) -> dict[str, Any]:
    mine = [f for f in frames if f.stream_id == stream_id]
    read = [int(f.detections[0].box[0]) for f in mine if f.detections]
    steps = [(b - a) % CLIP_FRAMES for a, b in pairwise(read)]
    return {
        "frames": len(mine),
        "missing": sum(step - 1 for step in steps if step > 1),
        "repeated": steps.count(0),
        "not_of_the_camera": len(mine) - len(read),
        "epochs": len({f.epoch for f in mine}),
    }


def _ages(frames: Sequence[FrameMessage]) -> dict[str, float]:
    """Of the good cameras: over all, and the median of the p99 of windows of five seconds, which a
    pause of the whole machine does not move."""
    windows: dict[int, list[float]] = {}
    for frame in frames:
        if frame.stream_id in GOOD:
            age_ms = (frame.published_at - frame.arrived_at).total_seconds() * 1000
            windows.setdefault(int(frame.published_at.timestamp() / WINDOW_S), []).append(age_ms)
    p50, p99 = np.percentile(np.concatenate(list(windows.values())), [50, 99])
    typical = np.median([np.percentile(ages_ms, 99) for ages_ms in windows.values()])
    named = {"p50": p50, "p99": p99, "p99_of_windows": typical}
    return {name: round(float(value), 2) for name, value in named.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="What three bad cameras do to five good ones.")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), arguments.seconds))
    result = {"machine": machine.describe(), **figures}
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
