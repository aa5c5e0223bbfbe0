"""A pipeline whose streams change, with what it has told so far and what must hold of it."""

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from detectors.base import Detector
from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.account import StreamReport
from pipeline.config import PipelineConfig, StreamConfig
from pipeline.config.file import parse_config
from pipeline.core.clock import Clock
from pipeline.core.detections import Detections
from pipeline.core.messages import (
    FrameMessage,
    Heartbeat,
    Message,
    StreamStatusMessage,
    decode,
)
from pipeline.core.picture import Picture
from sinks.memory import MemorySink

BUSY_S = 30
"""How long a machine with other work may take."""


def one_person(picture: Picture) -> Detections:
    height, width = picture.height, picture.width
    box = np.array([[0, 0, width, height]], np.float32) / np.float32(2)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))


DETECTOR = ScriptedDetector(("person",), one_person)


def camera(stream_id: str, clip: Path, **more: Any) -> StreamConfig:
    """As a camera, with a lane that a busy machine does not fill."""
    source = {"kind": "file", "path": str(clip), "realtime": True}
    return StreamConfig.model_validate(
        {"id": stream_id, "source": source, "queue_frames": 1000, **more}
    )


def recording(stream_id: str, path: Path) -> StreamConfig:
    source = {"kind": "file", "path": str(path)}
    return StreamConfig.model_validate({"id": stream_id, "source": source})


def of(*streams: StreamConfig, **more: Any) -> PipelineConfig:
    return parse_config({"streams": streams, **more})


class Run(Pipeline):
    """A pipeline with its messages so far."""

    def __init__(
        self,
        *streams: StreamConfig,
        keep_running: bool = False,
        detector: Detector = DETECTOR,
        clock: Clock | None = None,
        **more: Any,
    ) -> None:
        self.sink = MemorySink()
        super().__init__(
            of(*streams, **more),
            detector=detector,
            sinks=[self.sink],
            clock=clock,
            keep_running=keep_running,
        )

    def told(self, stream_id: str) -> list[Message]:
        return [decode(m.body) for m in list(self.sink.messages) if m.key == stream_id]

    def frames(self, stream_id: str) -> list[FrameMessage]:
        return [m for m in self.told(stream_id) if isinstance(m, FrameMessage)]

    def statuses(self, stream_id: str) -> list[tuple[str, str | None]]:
        """Without heartbeats."""
        told = [m for m in self.told(stream_id) if isinstance(m, StreamStatusMessage)]
        return [(m.status, m.cause) for m in told if m.heartbeat is None]

    def heartbeats(self, stream_id: str) -> list[Heartbeat]:
        told = [m for m in self.told(stream_id) if isinstance(m, StreamStatusMessage)]
        return [m.heartbeat for m in told if m.heartbeat is not None]

    def account(self, stream_id: str) -> StreamReport:
        return next(s for s in self.report().streams if s.stream_id == stream_id)

    async def more(self, *stream_ids: str) -> None:
        """Wait until each has published some more frames."""
        goals = {name: self.account(name).published + 3 for name in stream_ids}
        await until(lambda: all(self.account(n).published >= goals[n] for n in stream_ids))

    def assert_undisturbed(self, stream_id: str) -> None:
        """No frame is missing, in one epoch, with one track."""
        frames = self.frames(stream_id)
        assert [frame.seq for frame in frames] == list(range(len(frames)))
        assert {frame.epoch for frame in frames} == {0}
        assert {d.track_id for frame in frames for d in frame.detections} <= {None, 1}

    def assert_only_stops_cost(self, stops: int, stream_id: str) -> None:
        """Each stop may catch the one frame that its source was about to give."""
        dropped = self.account(stream_id).dropped
        assert sum(dropped.values()) == dropped.get("stopped", 0) <= stops

    def assert_accounted(self) -> None:
        for account in self.report().streams:
            assert account.decoded == account.published + sum(account.dropped.values())
            frames = self.frames(account.stream_id)
            assert len(frames) == account.published
            for before, now in pairwise(frames):
                assert now.seq - before.seq - 1 == sum(now.dropped_since_last.values())
                assert before.epoch <= now.epoch
        ids = [m.message_id for m in self.sink.messages]
        assert len(set(ids)) == len(ids)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BUSY_S):
        while not condition():
            await asyncio.sleep(0.005)


def threads(what: str = "") -> int:
    return sum(thread.name.startswith(f"eyrie {what}") for thread in threading.enumerate())


def no_more_threads_than(streams: int) -> bool:
    return threads("stream ") <= streams
