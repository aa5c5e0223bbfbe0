"""A whole run whose workers decode and detect with the default model, and are killed meanwhile."""

import asyncio
import logging
import os
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pipeline import Pipeline
from pipeline.account import Report
from pipeline.config import PipelineConfig
from pipeline.config.file import parse_config

FRAMES, STREAMS = 120, 2
MADE_AT = re.compile(r'"(published_at|arrived_at|run_id|message_id|instance)":"[^"]*"')
WITHIN_S = 60.0

Meanwhile = Callable[[Pipeline], Awaitable[None]]


def config(clip: Path, out: Path, workers: int) -> PipelineConfig:
    source = {"kind": "file", "path": str(clip)}
    streams = [{"id": f"s{n}", "source": source, "max_frames": FRAMES} for n in range(STREAMS)]
    sinks = [{"kind": "jsonl", "path": str(out / "{stream_id}.jsonl")}]
    model = {"engine": "onnxruntime"}
    return parse_config({"streams": streams, "sinks": sinks, "model": model, "workers": workers})


async def run(
    clip: Path, out: Path, workers: int, meanwhile: Meanwhile | None = None
) -> tuple[Report, list[str]]:
    """The report, and what was told of each stream but for the moments of telling."""
    out.mkdir()
    async with Pipeline(config(clip, out, workers)) as pipeline:
        if meanwhile is not None:
            await meanwhile(pipeline)
        report = await pipeline.wait()
    return report, [MADE_AT.sub("", path.read_text()) for path in sorted(out.glob("*.jsonl"))]


async def test_nothing_is_lost_or_changed_with_workers_that_die(
    shared_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "eyrie")
    clip = shared_dir / "clips" / "car-detection.mp4"

    async def kill_them_once_they_detect(pipeline: Pipeline) -> None:
        deadline_s = asyncio.get_running_loop().time() + WITHIN_S
        while not all(stream.published > 5 for stream in pipeline.report().streams):
            assert asyncio.get_running_loop().time() < deadline_s
            await asyncio.sleep(0.01)
        for worker in pipeline.workers:
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)

    _, here = await run(clip, tmp_path / "here", 0)
    report, there = await run(clip, tmp_path / "there", 2, kill_them_once_they_detect)
    assert report.errors == []
    assert [stream.published for stream in report.streams] == [FRAMES] * STREAMS
    assert there == here
    assert '"label":"car"' in here[0]
    assert caplog.text.count("detects") >= 2
    assert "its share is detected in the main process" in caplog.text
