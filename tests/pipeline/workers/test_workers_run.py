"""Whole runs with worker processes: the same messages, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from detectors.letterbox import Letterbox
from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.account import Report
from pipeline.config.file import parse_config
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.picture import Picture
from tests.stages.sources.clips import encode, scene

_TIMES = re.compile(rb'"(published_at|arrived_at)":"[^"]*"')
_CAPTURED = re.compile(rb'"captured_at":"[^"]*"')
_BUSY_S = 30


def bright(picture: Picture) -> Detections:
    """A box around the bar of the clips, as it is seen at the network's size."""
    columns = np.flatnonzero(picture.fit(picture.height, picture.width)[..., 2].mean(axis=0) > 200)
    if not len(columns):
        return Detections.empty()
    box = np.array([[columns[0], 2, columns[-1] + 1, picture.height - 2]], np.float32)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))


DETECTOR = ScriptedDetector(("bar",), bright, letterbox=Letterbox(64, 64))


async def run(out: Path, streams: list[dict[str, Any]], workers: int, **more: Any) -> Report:
    out.mkdir()
    sinks = [{"kind": "jsonl", "path": str(out / "{stream_id}.jsonl")}, *more.pop("sinks", ())]
    config = parse_config({"streams": streams, "sinks": sinks, "workers": workers, **more})
    async with Pipeline(config, detector=DETECTOR) as pipeline:
        assert len(pipeline.workers) == workers
        report = await pipeline.wait()
    assert pipeline.workers == []
    return report


def file(stream_id: str, path: Path, **more: Any) -> dict[str, Any]:
    return {"id": stream_id, "source": {"kind": "file", "path": str(path)}, **more}


def messages(out: Path, stream_id: str) -> bytes:
    """Without the moments at which they were made; a street is taken while it is drawn."""
    said = _TIMES.sub(rb'"\1":""', (out / f"{stream_id}.jsonl").read_bytes())
    return _CAPTURED.sub(b"", said) if stream_id == "drawn" else said


async def test_files_give_the_same_messages(tmp_path: Path) -> None:
    line = {"name": "mid", "points": [[32, 0], [32, 48]]}
    streams = [
        file("a", encode(tmp_path / "a.mp4", 60), lines=[line]),
        file("b", encode(tmp_path / "b.mp4", 45, size=(96, 64)), fps=10),
        file("short", encode(tmp_path / "c.mp4", 60), max_frames=7),
        file("none", tmp_path / "none.mp4"),
        {"id": "drawn", "source": {"kind": "street", "seconds": 1, "width": 96, "height": 64}},
    ]
    reports = [await run(tmp_path / f"{n}", streams, n) for n in (0, 2)]
    assert reports[0].errors == reports[1].errors
    for stream, other in zip(reports[0].streams, reports[1].streams, strict=True):
        assert (stream.published, stream.dropped) == (other.published, other.dropped)
        told = [messages(tmp_path / f"{n}", stream.stream_id) for n in (0, 2)]
        assert told[0] == told[1]
    assert reports[0].streams[0].published == 60
    assert b'"kind":"event"' in messages(tmp_path / "2", "a")


async def test_pictures_that_are_drawn_upon_come_whole(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 12)
    videos = []
    for workers in (0, 1):
        video = tmp_path / f"{workers}.mp4"
        sinks = [{"kind": "video", "path": str(video)}]
        await run(tmp_path / f"{workers}", [file("a", clip)], workers, sinks=sinks)
        with av.open(str(video)) as container:
            videos.append([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert len(videos[0]) == 12
    np.testing.assert_array_equal(videos[0], videos[1])


async def test_a_watched_stream_is_judged_in_a_worker_as_here(tmp_path: Path) -> None:
    """A lens that is covered is told at the same frame, and so is that it is free again."""
    clip = encode(tmp_path / "a.mp4", 60, rate=10, picture=_covered)
    health = {"enabled": True, "start_s": 1, "end_s": 1, "every_s": 0.2}
    streams = [file("a", clip, health=health)]
    for workers in (0, 1):
        await run(tmp_path / f"{workers}", streams, workers)
    # a state is told beside the frames that wait for the engine, so their order varies
    told = [sorted(messages(tmp_path / f"{n}", "a").splitlines()) for n in (0, 1)]
    assert told[0] == told[1]
    assert messages(tmp_path / "1", "a").count(b'"condition":"black"') == 2


def _covered(number: int, width: int, height: int) -> U8:
    return scene(number, width, height) * np.uint8(not 10 <= number < 35)


_PROGRAM = """
import asyncio, sys
from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections

detector = ScriptedDetector(("x",), lambda picture: Detections.empty())
streams = [{"id": f"s{n}", "source": {"kind": "file", "path": sys.argv[1], "realtime": True}}
           for n in range(3)]

async def main():
    sinks = [{"kind": "jsonl", "path": sys.argv[2]}]
    config = parse_config({"streams": streams, "sinks": sinks, "workers": 2})
    async with Pipeline(config, detector=detector) as pipeline:
        while not all(stream.published for stream in pipeline.report().streams):
            await asyncio.sleep(0.01)
        print(*(worker.pid for worker in pipeline.workers), flush=True)
        await pipeline.wait()

asyncio.run(main())
"""
"""Without a guard around its last line, as a program that embeds the pipeline may be."""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_of_a_run_that_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    clip = encode(tmp_path / "a.mp4", 600)
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    named = set(Path("/dev/shm").iterdir())
    main = subprocess.Popen(
        [sys.executable, str(program), str(clip), str(tmp_path / "out.jsonl")], cwd=Path.cwd(),
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with main:
        assert main.stdout is not None
        workers = [int(word) for word in main.stdout.readline().split()]
        assert len(workers) == 2
        main.send_signal(how)
        _, said = main.communicate(timeout=_BUSY_S)
    _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert said == b""
    assert set(Path("/dev/shm").iterdir()) <= named


def _until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _BUSY_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
