"""More frames than the engine does, with the default model: who gives way, and how old frames get.

    python -m benchmarks.load [--seconds 30] [--out FILE.json]

Six live streams of 960 x 540 pixels and 25 frames a second, of priority 9, 7, 5, 5, 3 and 1, each
with `min_fps: 2`. After 15 s, in which the order of giving way finds its place, frames a second of
each stream and their age, from the arrival of the picture to the publication of its message.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.messages import FrameMessage, decode
from sinks.memory import MemorySink
from tests.services import numbered

PRIORITIES = {"gate": 9, "door": 7, "yard": 5, "lane": 5, "park": 3, "roof": 1}
FPS, SIZE_PX, MIN_FPS, MAX_AGE_MS = 25, (960, 540), 2.0, 1000.0
SETTLE_S = 15.0


async def measure(clip: Path, seconds: float) -> dict[str, Any]:
    """One run: `SETTLE_S`, then `seconds` that count."""
    sink = MemorySink()
    config = parse_config({"streams": [_stream(name, clip) for name in PRIORITIES]})
    async with Pipeline(config, sinks=[sink]) as pipeline:
        await asyncio.sleep(SETTLE_S)
        began, before = datetime.now(UTC), _decoded(pipeline)
        await asyncio.sleep(seconds)
        ended, after = datetime.now(UTC), _decoded(pipeline)
        load = pipeline.report().load
        pipeline.drain()
        report = await pipeline.wait()
    messages = [decode(sent.body) for sent in sink.messages]
    frames = [
        m for m in messages if isinstance(m, FrameMessage) and began <= m.published_at < ended
    ]
    span_s = (ended - began).total_seconds()
    came = {name: (after[name] - before[name]) / span_s for name in PRIORITIES}
    return {
        "engine_fps": round(len(frames) / span_s, 1),
        "stage": load.stage,
        "keep": {name: round(share, 3) for name, share in load.keep.items()},
        "streams": {name: _account(frames, name, came[name], span_s) for name in PRIORITIES},
        "age_ms": _ages(frames),
        "longest_wait_ms": round(1000 * max(stream.oldest_s for stream in report.streams), 1),
        "dropped": {stream.stream_id: stream.dropped for stream in report.streams},
        "identity_holds": all(
            s.decoded == s.published + sum(s.dropped.values()) for s in report.streams
        ),
    }


def _stream(name: str, clip: Path) -> dict[str, Any]:
    return {
        "id": name,
        "source": {"kind": "file", "path": str(clip), "realtime": True, "decoder_threads": 1},
        "priority": PRIORITIES[name],
        "min_fps": MIN_FPS,
        "max_age_ms": MAX_AGE_MS,
        "health": {"enabled": False},
    }


def _decoded(pipeline: Pipeline) -> dict[str, int]:
    return {stream.stream_id: stream.decoded for stream in pipeline.report().streams}


def _account(
    frames: Sequence[FrameMessage], name: str, came_fps: float, span_s: float
) -> dict[str, Any]:
    mine = [frame for frame in frames if frame.stream_id == name]
    return {
        "priority": PRIORITIES[name],
        "came_fps": round(came_fps, 1),
        "published_fps": round(len(mine) / span_s, 1),
        "age_ms": _ages(mine),
    }


def _ages(frames: Sequence[FrameMessage]) -> dict[str, float]:
    ages_ms = [(f.published_at - f.arrived_at).total_seconds() * 1000 for f in frames]
    if not ages_ms:
        return {}
    found = dict(zip(("p50", "p99", "most"), np.percentile(ages_ms, [50, 99, 100]), strict=True))
    return {key: round(float(value), 1) for key, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Overload the engine with six live streams.")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    frames = round((SETTLE_S + arguments.seconds + 30) * FPS)
    with tempfile.TemporaryDirectory() as folder:
        clip = numbered.make(Path(folder) / "clip.mp4", frames, size=SIZE_PX, fps=FPS)
        figures = asyncio.run(measure(clip, arguments.seconds))
    text = json.dumps({"machine": machine.describe(), **figures}, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
