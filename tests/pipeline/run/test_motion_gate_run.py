"""A gated stream through a whole run: real decoding, threads, messages."""

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.account import Report, StreamReport
from pipeline.build.streams import expand_streams
from pipeline.cli.report import print_report
from pipeline.config.file import parse_config
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.messages import FrameMessage, Message, StreamStatusMessage, decode
from pipeline.core.picture import Picture
from sinks.memory import MemorySink
from tests.stages.sources.clips import encode

FPS, SIZE = 10, (320, 192)
MOVES = range(60, 90)
"""Frames with somebody; before and behind them, 6 s of nobody."""


def street(index: int, width: int, height: int) -> U8:
    image = np.empty((height, width, 3), np.uint8)
    image[...] = np.linspace(60, 160, width, dtype=np.uint8)[:, None]
    image[::16] = 50
    if index in MOVES:
        left = 20 + 8 * (index - MOVES.start)
        image[80:140, left : left + 24] = 235
    return image


def find(picture: Picture) -> Detections:
    bright = np.argwhere(picture.luma(picture.height, picture.width) > 210)
    if not len(bright):
        return Detections.empty()
    (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0) + 1
    box = np.array([[left, top, right, bottom]], np.float32)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))


async def finish(clip: Path, **stream: Any) -> tuple[StreamReport, list[Message]]:
    config = parse_config({
        "streams": [{"id": "gate", "source": {"kind": "file", "path": str(clip)}, **stream}],
        "motion_gate": {"interval_s": 3, "hold_s": 1.5},
        "run_id": "r",
    })  # fmt: skip
    sink = MemorySink()
    detector = ScriptedDetector(("person",), find)
    async with Pipeline(config, detector=detector, sinks=[sink]) as pipeline:
        report = await pipeline.wait()
    return report.streams[0], [decode(message.body) for message in sink.messages]


async def test_frames_at_rest_are_left_out_and_told_and_nobody_is_missed(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 150, size=SIZE, rate=FPS, picture=street)
    report, messages = await finish(clip)
    frames = [m for m in messages if isinstance(m, FrameMessage)]
    assert (report.decoded, report.published) == (150, len(frames))
    assert set(report.dropped) == {"at_rest"}
    assert report.decoded == report.published + report.dropped["at_rest"]
    assert report.dropped["at_rest"] > 60
    assert report.rest is not None
    assert (report.rest.frames_total, report.rest.changes_total) == (report.dropped["at_rest"], 1)
    seen = [m.seq for m in frames if m.detections]
    assert MOVES.start <= seen[0] <= MOVES.start + 1
    assert seen == list(range(seen[0], MOVES.stop))
    told = sum(m.dropped_since_last.get("at_rest", 0) for m in frames)
    assert told + len(frames) == frames[-1].seq + 1


async def test_the_same_file_gives_the_same_messages(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 150, size=SIZE, rate=FPS, picture=street)
    first, again = [(await finish(clip))[1] for _ in range(2)]
    assert [m.message_id for m in first] == [m.message_id for m in again]


async def test_a_frozen_picture_at_rest_is_told(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 60, size=SIZE, rate=FPS, picture=street)
    health = {"enabled": True, "conditions": ["frozen"], "start_s": 2}
    report, messages = await finish(clip, health=health)
    assert report.dropped["at_rest"] > 20
    told = [m.condition for m in messages if isinstance(m, StreamStatusMessage) and m.condition]
    assert told[0] == "frozen"


async def test_the_report_at_the_end_says_how_much_it_rested(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 60, size=SIZE, rate=FPS, picture=street)
    report, _ = await finish(clip)
    out = StringIO()
    print_report(Report([report], []), Console(file=out, width=200))
    frames = report.dropped["at_rest"]
    assert f"stream gate: at rest in {frames} of 60 frames ({frames / 60:.0%})" in out.getvalue()


async def test_a_stream_can_do_without(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 60, size=SIZE, rate=FPS, picture=street)
    report, _ = await finish(clip, motion_gate={"enabled": False})
    assert (report.published, report.rest) == (60, None)


def test_what_a_stream_leaves_out_is_filled_in() -> None:
    streams: list[dict[str, Any]] = [
        {"id": name, "source": {"kind": "street"}} for name in ("a", "b", "c")
    ]
    streams[1]["motion_gate"] = {"interval_s": 9, "looks": 5}
    streams[2]["motion_gate"] = {"enabled": False}
    tracking = {"lost_s": 3, "confirm_hits": 4}
    config = parse_config({
        "streams": streams, "motion_gate": {"sensitivity": 0.7}, "tracking": tracking,
        "sinks": [{"kind": "jsonl", "path": "x.jsonl"}],
    })  # fmt: skip
    first, second, third = [stream.motion_gate for stream in expand_streams(config)]
    assert first is not None
    assert second is not None
    assert (first.hold_s, first.looks, first.interval_s, first.sensitivity) == (4, 4, 5, 0.7)
    assert (second.hold_s, second.looks, second.interval_s, second.sensitivity) == (4, 5, 9, 0.7)
    assert third is None
