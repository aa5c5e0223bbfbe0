"""What one more stream costs: CPU per frame for 1 to 32 live streams, and of streams at rest.

    python -m benchmarks.scaling_streams [--streams 1 2 4 8 16 32] [--seconds 6] [--rounds 2]
        [--idle 16] [--json benchmarks/results/scaling_streams.json]

`cost`: clips of 352 x 288 at 25 frames a second, at their pace, decoded as a camera's, analysed at
the network's size by a detector that finds nothing, and written as JSON lines. Each round has every
number of streams once. CPU is that of this process over the seconds, divided by the frames that
were published in them. `growth` is the slope of the logarithm of cores over that of streams: 1 is
linear. `idle`: RTSP cameras that are connected and send nothing, or one picture a second, with the
same detector; CPU of this process as a share of a core for each stream.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.machine import describe
from benchmarks.rtsp_streams.run import rtsp_server
from detectors.letterbox import Letterbox
from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from tests.services import numbered

SIZE_PX, FPS, NETWORK_PX = (352, 288), 25, 416
SETTLE_S, UP_WITHIN_S = 2.0, 60
IDLE_BAR: Final = 0.01
"""Of a core, for a stream that sends nothing."""


DETECTOR: Final = ScriptedDetector(
    ("nothing",), lambda _: Detections.empty(), letterbox=Letterbox(NETWORK_PX, NETWORK_PX)
)
"""Finds nothing, in pictures of the network's size."""


@asynccontextmanager
async def running(sources: Sequence[dict[str, Any]], folder: Path) -> AsyncIterator[Pipeline]:
    """A run over these sources, up when every stream has published, drained at the end."""
    config = parse_config(
        {
            "streams": [{"id": f"s{n}", "source": source} for n, source in enumerate(sources)],
            "sinks": [{"kind": "jsonl", "path": str(folder / "{stream_id}.jsonl")}],
        }
    )
    async with Pipeline(config, detector=DETECTOR) as pipeline:
        async with asyncio.timeout(UP_WITHIN_S):
            while any(stream.published == 0 for stream in pipeline.report().streams):
                await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLE_S)
        yield pipeline
        pipeline.drain()
        await pipeline.wait()


async def cpu_share(pipeline: Pipeline, seconds: float) -> tuple[float, int]:
    """Cores that this process uses over the seconds, and frames published in them."""
    before, began_s, began_cpu_s = _published(pipeline), time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    cores = (time.process_time() - began_cpu_s) / (time.perf_counter() - began_s)
    return cores, _published(pipeline) - before


def _published(pipeline: Pipeline) -> int:
    return sum(stream.published for stream in pipeline.report().streams)


async def cost(clip: Path, streams: int, seconds: float, folder: Path) -> dict[str, float]:
    """One run over `streams` times the clip."""
    source = {"kind": "file", "path": str(clip), "realtime": True, "decoder_threads": 1}
    async with running([source] * streams, folder) as pipeline:
        cores, frames = await cpu_share(pipeline, seconds)
    return {
        "cores": cores,
        "fps": frames / seconds,
        "cpu_ms_per_frame": 1000 * cores * seconds / frames,
    }


def costs(counts: Sequence[int], seconds: float, rounds: int, folder: Path) -> dict[str, Any]:
    """Medians over the rounds, and how the cores grow with the streams."""
    length_s = seconds + SETTLE_S + UP_WITHIN_S / 4
    clip = numbered.make(folder / "clip.mp4", round(length_s * FPS), size=SIZE_PX, fps=FPS)
    found: dict[int, list[dict[str, float]]] = {count: [] for count in counts}
    for number in range(rounds):
        for count in counts:
            place = folder / f"{number}-{count}"
            place.mkdir()
            found[count].append(asyncio.run(cost(clip, count, seconds, place)))
    rows = [
        {"streams": count, **{key: _median(runs, key) for key in runs[0]}}
        for count, runs in found.items()
    ]
    for row in rows:
        print(row)
    log_streams, log_cores = np.log([[row["streams"], row["cores"]] for row in rows]).T
    growth = float(np.polyfit(log_streams, log_cores, 1)[0]) if len(rows) > 1 else 1.0
    return {"streams": rows, "growth": round(growth, 3)}


def _median(runs: Sequence[dict[str, float]], key: str) -> float:
    return round(statistics.median(run[key] for run in runs), 3)


async def idle(streams: int, fps: int, seconds: float, folder: Path) -> float:
    """Cores for each stream: with `fps` 0 the cameras freeze once all streams are up."""
    folder.mkdir()
    rate = fps or FPS
    clip = numbered.make(folder / "c.mp4", 4 * rate, size=SIZE_PX, fps=rate, key_every=4 * rate)
    site = rtsp_server({f"c{n}": clip for n in range(streams)}, folder)
    patient = {"read_timeout_s": 600, "picture_timeout_s": 600}
    with ExitStack() as stack:
        stack.callback(site.stop)
        stack.callback(site.resume)
        site.start()
        urls = [f"rtsp://127.0.0.1:{site.port}/c{n}" for n in range(streams)]
        sources = [{"kind": "rtsp", "url": url, **patient} for url in urls]
        async with running(sources, folder) as pipeline:
            if fps == 0:
                site.pause()
                await asyncio.sleep(SETTLE_S)
            cores, _ = await cpu_share(pipeline, seconds)
            site.resume()
    return cores / streams


def main() -> None:
    parser = argparse.ArgumentParser(description="What one more stream costs.")
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--idle", type=int, default=16, help="streams at rest; 0: leave them out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"machine": describe()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.streams:
            figures["cost"] = costs(arguments.streams, arguments.seconds, arguments.rounds, folder)
        if arguments.idle:
            for label, fps in (("nothing", 0), ("one_picture_a_second", 1)):
                place = folder / label
                share = asyncio.run(idle(arguments.idle, fps, arguments.seconds, place))
                figures.setdefault("idle", {})[label] = round(share, 5)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        old = json.loads(arguments.json.read_text("utf-8")) if arguments.json.exists() else {}
        arguments.json.write_text(json.dumps(old | figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
