"""Frames a second and CPU time per frame of the whole pipeline, on clips made for it.

    python -m benchmarks.throughput [--streams 1 4] [--frames 300]

1080p H.264 streams, with a detector that finds nothing (what the machinery costs) and with the
default model. CPU time is of the whole process, from the first to the last frame.
"""

import argparse
import asyncio
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from detectors.base import Detector
from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from stages.sources.street.encode import write_video
from stages.sources.street.scene import StreetScene

WIDTH_PX, HEIGHT_PX, FPS = 1920, 1080, 25
STREET_SEED = 5


def make_clip(path: Path, frames: int) -> Path:
    """A moving pattern that an encoder cannot skip over, 1080p, 25 fps, no B-frames."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (HEIGHT_PX // 8, WIDTH_PX // 4, 3), dtype=np.uint8)
    field = wide.repeat(8, axis=0).repeat(8, axis=1)
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "bf": "0"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for number in range(frames):
            left = 3 * number % WIDTH_PX
            picture = np.ascontiguousarray(field[:, left : left + WIDTH_PX])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_street(path: Path, frames: int) -> Path:
    """A drawn street of the same size and rate: easier to decode, with somebody in it."""
    write_video(StreetScene(STREET_SEED, WIDTH_PX, HEIGHT_PX, FPS, frames), path)
    return path


async def measure(clip: Path, streams: int, out: Path, detector: Detector | None) -> dict[str, Any]:
    """One run: frames, frames a second, CPU ms per frame."""
    config = parse_config(
        {
            "streams": [
                {"id": f"s{n}", "source": {"kind": "file", "path": str(clip)}}
                for n in range(streams)
            ],
            "sinks": [{"kind": "jsonl", "path": str(out / "{stream_id}.jsonl")}],
        }
    )
    async with Pipeline(config, detector=detector) as pipeline:
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        report = await pipeline.wait()
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    frames = sum(stream.published for stream in report.streams)
    return {
        "frames": frames,
        "fps": round(frames / wall_s, 1),
        "cpu_ms_per_frame": round(1000 * cpu_s / frames, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the whole pipeline.")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--frames", type=int, default=300)
    arguments = parser.parse_args()
    nothing = ScriptedDetector(("person",), lambda _: Detections.empty())
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", arguments.frames)
        for streams in arguments.streams:
            for name, detector in (("no model", nothing), ("default model", None)):
                figures = asyncio.run(measure(clip, streams, Path(folder), detector))
                print(f"{streams} streams, {name}: {figures}")


if __name__ == "__main__":
    main()
