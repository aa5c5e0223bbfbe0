"""Blind cameras and damaged pictures through a whole run: messages, report, account."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.account import StreamReport
from pipeline.config.file import parse_config
from pipeline.core.arrays import U8
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.frame import Frame
from pipeline.core.messages import (
    EndOfStreamMessage,
    FrameMessage,
    Message,
    StreamStatusMessage,
    decode,
)
from pipeline.stream.changes import StreamChange, StreamEnded, StreamHealth
from pipeline.stream.stream import Stream
from sinks.memory import MemorySink
from stages.base import Counts
from tests.stages.health.pictures import RATE, encode, live_scene

DETECTOR = ScriptedDetector(("person",), lambda _: Detections.empty())


async def run(path: Path, **stream: Any) -> tuple[list[Message], StreamReport]:
    source = {"kind": "file", "path": str(path), "decoder_threads": 1}
    config = parse_config({"streams": [{"id": "gate", "source": source} | stream], "run_id": "r"})
    sink = MemorySink()
    async with Pipeline(config, detector=DETECTOR, sinks=[sink]) as pipeline:
        report = await pipeline.wait()
    assert report.errors == []
    return [decode(outgoing.body) for outgoing in sink.messages], report.streams[0]


def told(messages: list[Message]) -> list[StreamStatusMessage]:
    return [
        message
        for message in messages
        if isinstance(message, StreamStatusMessage) and message.condition is not None
    ]


def dark_in_the_middle_and_at_the_end(number: int) -> U8:
    dark = 4 * RATE <= number < 9 * RATE or number >= 14 * RATE
    return np.zeros_like(live_scene(0)) if dark else live_scene(number)


@pytest.fixture(scope="module")
def dark_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dark") / "clip.ts"
    path.write_bytes(encode(dark_in_the_middle_and_at_the_end, 19 * RATE))
    return path


async def test_every_condition_is_told_and_cleared_with_ids_that_come_again(
    dark_clip: Path,
) -> None:
    health = {"enabled": True, "start_s": 3, "end_s": 2}
    messages, report = await run(dark_clip, health=health)
    statuses = told(messages)
    assert [(message.status, message.condition) for message in statuses] == [
        ("impaired", "black"),
        ("cleared", "black"),
    ] * 2
    assert 7 * RATE <= statuses[0].seq <= 8 * RATE
    assert statuses[0].metrics["level"] <= 24
    assert statuses[3].reason == "the connection is over"
    assert isinstance(messages[-1], EndOfStreamMessage)
    assert report.impairments == {"black": 2}
    assert report.impaired == set()
    again = told((await run(dark_clip, health=health))[0])
    ids = [message.message_id for message in statuses]
    assert [message.message_id for message in again] == ids
    assert len(set(ids)) == 4


async def test_files_are_not_watched_unless_that_is_asked_for(dark_clip: Path) -> None:
    messages, report = await run(dark_clip)
    assert told(messages) == []
    assert report.impairments == {}


@pytest.fixture(scope="module")
def damaged_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    body = bytearray(encode(live_scene, 8 * RATE))
    rng = random.Random(5)
    for place in range(len(body) // 2, len(body) - 500, 3000):
        body[place + 60 : place + 100] = rng.randbytes(40)
    path = tmp_path_factory.mktemp("damaged") / "clip.ts"
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("corrupt", ["drop", "pass"])
async def test_damaged_pictures_are_dropped_by_their_own_reason_or_analysed(
    damaged_clip: Path, corrupt: Literal["drop", "pass"]
) -> None:
    messages, report = await run(damaged_clip, corrupt=corrupt)
    frames = [message for message in messages if isinstance(message, FrameMessage)]
    assert report.decoded == report.published + sum(report.dropped.values())
    assert report.published == len(frames)
    told_drops = sum(sum(frame.dropped_since_last.values()) for frame in frames)
    gaps = frames[-1].seq + 1 - len(frames)
    assert told_drops == gaps
    if corrupt == "drop":
        assert report.dropped["corrupt"] >= gaps > 0
        assert set(report.dropped) == {"corrupt"}
    else:
        assert report.dropped == {}


class OnlyDamage:
    """A camera whose pictures are all damaged: it yields none until it is closed."""

    live = True
    frame_count: int | None = None

    def __init__(self) -> None:
        self.counts = Counts()
        self._closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        while not self._closed.wait(0.01):
            self.counts.packets_total += 1
            self.counts.decoded_total += 1
            self.counts.withheld_total += 1
            self.counts.corrupt_total += 1
        yield from ()

    def close(self) -> None:
        self._closed.set()


def test_a_camera_that_gives_damage_only_is_told_and_accounted_for() -> None:
    source = {"kind": "rtsp", "url": "rtsp://camera/1", "reconnect": "never"}
    health = {"start_s": 0.5, "end_s": 0.5}
    streams = [{"id": "gate", "source": source, "health": health}]
    (config,) = parse_config(
        {"streams": streams, "sinks": [{"kind": "jsonl", "path": "-"}]}
    ).streams
    told_changes: list[StreamChange] = []

    def tell(change: StreamChange) -> None:
        told_changes.append(change)
        if isinstance(change, StreamHealth):
            stream.stop()

    stream = Stream(
        config, lambda epoch, seq: OnlyDamage(), threading.Condition(), tell, SystemClock()
    )
    stream.run()
    changes = [told.change for told in told_changes if isinstance(told, StreamHealth)]
    assert [(change.condition, change.active) for change in changes] == [
        ("corrupt", True),
        ("corrupt", False),
    ]
    assert isinstance(told_changes[-1], StreamEnded)
    decoded, published, dropped = stream.account.totals()
    assert (published, dropped) == (0, {"corrupt": decoded})
    assert decoded > 10
