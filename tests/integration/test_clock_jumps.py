"""The wall clock is set by an hour in the middle of a run: nothing waits, nothing is lost."""

import ast
import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from pipeline.core.messages import FrameMessage, decode
from sinks.memory import MemorySink
from tests.services import numbered

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 40
BLIND = ScriptedDetector(("thing",), lambda _image: Detections.empty())


class SetClock:
    """The machine's clock, until the wall shows another time from the n-th look at it on."""

    def __init__(self, step_s: int, after_looks: int) -> None:
        self._step_ns, self._left = step_s * 10**9, after_looks

    def monotonic_s(self) -> float:
        return time.monotonic()

    def utc_ns(self) -> int:
        self._left -= 1
        return time.time_ns() + (self._step_ns if self._left < 0 else 0)


@pytest.mark.parametrize("step_s", [-3600, 3600])
async def test_a_live_run_goes_on_at_its_own_pace(tmp_path: Path, step_s: int) -> None:
    clip = numbered.make(tmp_path / "a.mp4", FRAMES, fps=20)
    source = {"kind": "file", "path": str(clip), "realtime": True}
    stream = {"id": "cam", "source": source, "queue_frames": FRAMES}
    sink, clock = MemorySink(), SetClock(step_s, after_looks=FRAMES)
    pipeline = Pipeline(
        parse_config({"streams": [stream], "tracking": {"enabled": False}}),
        detector=BLIND, sinks=[sink], clock=clock,
    )  # fmt: skip
    began_s = time.monotonic()
    async with asyncio.timeout(60), pipeline:
        report = await pipeline.wait()
    took_s = time.monotonic() - began_s
    decoded = [decode(message.body) for message in sink.messages]
    frames = [message for message in decoded if isinstance(message, FrameMessage)]
    assert [frame.seq for frame in frames] == list(range(FRAMES))
    assert report.streams[0].decoded == report.streams[0].published == FRAMES
    assert (FRAMES - 1) / 20 <= took_s < 40
    arrivals = [frame.arrived_at.timestamp() for frame in frames]
    steps = [round((after - before) / 1800) for before, after in pairwise(arrivals)]
    assert sorted(map(abs, steps)) == [0] * (FRAMES - 2) + [2]
    assert {frame.epoch for frame in frames} == {0}
    assert all(a.captured_at < b.captured_at for a, b in pairwise(frames))


WALL = {
    ("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"),
    ("date", "today"), ("datetime", "today"), ("time", "localtime"),
}  # fmt: skip


def wall_reads(path: Path) -> list[str]:
    """Where a file reads the wall clock."""
    return [
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in WALL
    ]


def test_only_the_clock_reads_the_wall() -> None:
    """So nothing that waits can wait by it."""
    files = [
        path for folder in ("pipeline", "stages", "sinks") for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 50
    found = {str(path.relative_to(ROOT)): reads for path in files if (reads := wall_reads(path))}
    assert found == {"pipeline/core/clock.py": ["time.time_ns"]}
