"""What a video sink costs the messages of the same run.

    python -m benchmarks.video_sink [--streams 2,4] [--seconds 10] [--privacy persons] [--json FILE]

Streams of 1920x1080 come at 25 pictures a second, as from cameras. A detector that computes nothing
finds 20 people in each picture; messages go to memory. Once without, once with a video sink of all
streams, whose queue drops (`drop_oldest`), for no two cores draw and encode so much. `p50_ms` and
`p99_ms` are from a picture's arrival, decoded, until its message was made; `fps` is how many frames
of all streams were told in a second of the clip, and `video_fps` how many went into the videos.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.bench.clips import FPS, make_clip
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from pipeline.core.picture import Picture
from sinks.base import Outgoing
from sinks.memory import MemorySink

SIZE = (1920, 1080)
PEOPLE = 20


def people() -> Detections:
    """In two rows, each of 110 x 280 px."""
    x, y = np.meshgrid(np.arange(10) * 190.0 + 10, (100.0, 600.0))
    corner = np.stack([x.ravel(), y.ravel()], axis=1)
    boxes = np.hstack([corner, corner + np.array([110, 280])]).astype(np.float32)
    return Detections(boxes, np.full(PEOPLE, 0.9, np.float32), np.zeros(PEOPLE, np.int32))


def delays_ms(messages: Sequence[Outgoing]) -> list[float]:
    """Of each frame, from its arrival to its message."""
    told = [json.loads(message.body) for message in messages if message.kind == "frame"]
    at = [[datetime.fromisoformat(row[key]) for key in ("arrived_at", "published_at")]
          for row in told]  # fmt: skip
    return [1000 * (published - arrived).total_seconds() for arrived, published in at]


async def run(
    clip: Path, out: Path, streams: int, privacy: str, seconds: int, *, video: bool
) -> dict[str, float]:
    """One run until the clip of so many seconds is over, at its own pace."""
    source = {"kind": "file", "path": str(clip), "realtime": True}
    sink = {"kind": "video", "path": str(out / "{stream_id}.mp4"), "when_full": "drop_oldest"}
    config: dict[str, Any] = {
        "streams": [{"id": f"cam-{number}", "source": source} for number in range(streams)],
        "sinks": [sink] if video else [],
        "privacy": privacy,
        "workers": 0,
    }
    found, memory = people(), MemorySink()

    def script(picture: Picture) -> Detections:
        return found

    detector = ScriptedDetector(("person",), script)
    async with Pipeline(parse_config(config), detector=detector, sinks=[memory]) as pipeline:
        report = await pipeline.wait()
    p50_ms, p99_ms = np.percentile(delays_ms(memory.messages), (50, 99)).tolist()
    counts = {
        "p50_ms": p50_ms,
        "p99_ms": p99_ms,
        "fps": sum(stream.published for stream in report.streams) / seconds,
        "dropped": sum(sum(stream.dropped.values()) for stream in report.streams),
        "video_fps": report.sinks[-1].acknowledged / seconds if video else 0.0,
    }
    return {key: round(value, 1) for key, value in counts.items()}


def main() -> None:
    """Measure and print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", default="2,4")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--privacy", default="persons", choices=("off", "persons", "faces"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", *SIZE, args.seconds * FPS)
        for streams in map(int, args.streams.split(",")):
            for video in (False, True):
                name = f"{streams} streams, {'with' if video else 'without'} video"
                out = Path(folder) / name
                results[name] = asyncio.run(
                    run(clip, out, streams, args.privacy, args.seconds, video=video)
                )
                print(name, results[name])
    if args.json is not None:
        told = json.dumps({"machine": describe(), "results": results}, indent=2)
        args.json.write_text(told + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
