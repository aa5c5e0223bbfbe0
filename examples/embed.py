"""Run Eyrie within another asyncio program, beside that program's own tasks.

    python -m examples.embed VIDEO [--out out] [--limit-s 60]

Blocking work happens in Eyrie's threads, so the loop stays free: the heartbeat goes on. Eyrie
handles no signals when it is embedded; that is for the host, which calls `drain` or `abort`.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from detectors.base import Detector
from pipeline import Pipeline, PipelineConfig
from pipeline.account import Report
from pipeline.core.errors import EyrieError


def configuration(video: Path, out: Path) -> PipelineConfig:
    """The same keys as in YAML; see configs/README.md."""
    return PipelineConfig.model_validate(
        {
            "streams": [{"id": video.stem, "source": {"kind": "file", "path": str(video)}}],
            "sinks": [{"kind": "jsonl", "path": str(out / "{stream_id}.jsonl")}],
        }
    )


async def heartbeat(pipeline: Pipeline) -> None:
    """The host's own work; here it shows how far the run is."""
    while True:
        for stream in pipeline.report().streams:
            expected = stream.frames_expected or "?"
            print(f"{stream.stream_id}: {stream.published} of {expected} frames")
        await asyncio.sleep(1)


async def analyse(
    config: PipelineConfig, limit_s: float, detector: Detector | None = None
) -> Report:
    """Run to the end, or until the time is over; what is decoded by then is still published."""
    async with Pipeline(config, detector=detector) as pipeline:
        beating = asyncio.create_task(heartbeat(pipeline))
        timer = asyncio.get_running_loop().call_later(limit_s, pipeline.drain)
        try:
            return await pipeline.wait()
        finally:
            timer.cancel()
            beating.cancel()


def main() -> int:
    """0 when all is well, 1 when a stream or a sink failed, 3 when Eyrie could not start."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--limit-s", type=float, default=60.0)
    args = parser.parse_args()
    try:
        report = asyncio.run(analyse(configuration(args.video, args.out), args.limit_s))
    except EyrieError as error:
        print(f"embed: {error}", file=sys.stderr)
        return 3
    for problem in report.errors:
        print(f"embed: {problem}", file=sys.stderr)
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
