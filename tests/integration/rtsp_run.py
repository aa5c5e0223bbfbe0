"""A pipeline over cameras with numbered pictures, and what must hold of all that it published."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from pipeline import Pipeline
from pipeline.account import Report, StreamReport
from pipeline.config.file import parse_config
from pipeline.core.messages import FrameMessage, StreamStatusMessage, decode
from sinks.memory import MemorySink
from tests.services.numbered import READER

CAP_S = 1.0
"""Longest pause between two tries, in these tests."""
READ_S = 2.0
RECOVER_S = CAP_S + 5
BUSY_S = 20
"""How long a machine with other work may take for what is no part of a recovery."""


def camera(stream_id: str, url: str, **source: Any) -> dict[str, Any]:
    """A stream's section, with short deadlines and a lane that a busy machine does not fill."""
    keys = {"open_timeout_s": 5, "read_timeout_s": READ_S, "longest_pause_s": CAP_S}
    return {
        "id": stream_id,
        "source": {"kind": "rtsp", "url": url, **keys, **source},
        "queue_frames": 100,
    }


class Run:
    """A pipeline that runs, and its messages so far."""

    def __init__(self, streams: Sequence[dict[str, Any]], workers: int = 0) -> None:
        self.sink = MemorySink()
        config = parse_config(
            {"streams": streams, "tracking": {"enabled": False}, "workers": workers}
        )
        self.pipeline = Pipeline(config, detector=READER, sinks=[self.sink])

    def report(self, stream_id: str) -> StreamReport:
        return next(s for s in self.pipeline.report().streams if s.stream_id == stream_id)

    def frames(self, stream_id: str) -> list[FrameMessage]:
        messages = [decode(m.body) for m in list(self.sink.messages) if m.key == stream_id]
        return [message for message in messages if isinstance(message, FrameMessage)]

    def statuses(self, stream_id: str) -> list[StreamStatusMessage]:
        """Without heartbeats."""
        found = [m.body for m in list(self.sink.messages) if m.key == stream_id]
        messages = [decode(body) for body in found if b"stream_status" in body]
        statuses = [message for message in messages if isinstance(message, StreamStatusMessage)]
        return [status for status in statuses if status.heartbeat is None]

    async def until(self, condition: Callable[[], bool], within_s: float) -> float:
        """Wait for it: the seconds that it took. Raises `TimeoutError`."""
        began_s = time.monotonic()
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.02)
        return time.monotonic() - began_s

    async def published(self, stream_id: str, more: int, within_s: float = BUSY_S) -> float:
        """Wait for so many more frames."""
        goal = self.report(stream_id).published + more
        return await self.until(lambda: self.report(stream_id).published >= goal, within_s)

    async def down(self, stream_id: str, times: int = 1, within_s: float = BUSY_S) -> None:
        """Wait until it has told so often that it went down."""

        def told() -> bool:
            return sum(status.status == "down" for status in self.statuses(stream_id)) >= times

        await self.until(told, within_s)

    def epoch(self, stream_id: str) -> int:
        """Of its newest published frame; -1 without one."""
        for message in reversed(self.sink.messages):
            if message.key == stream_id and b'"kind":"frame"' in message.body:
                return decode(message.body).epoch
        return -1

    async def back(self, stream_id: str, than: int = 0, within_s: float = RECOVER_S) -> None:
        """Wait for a frame of a later epoch, and for a few more."""
        await self.until(lambda: self.epoch(stream_id) > than, within_s)
        await self.published(stream_id, 5)

    async def end(self) -> Report:
        """Stop within two seconds, and a busy machine's patience."""
        self.pipeline.drain()
        return await asyncio.wait_for(self.pipeline.wait(), BUSY_S)


@asynccontextmanager
async def running(*streams: dict[str, Any], workers: int = 0) -> Any:
    """The streams in a pipeline; at the end all accounts must be right."""
    run = Run(streams, workers)
    async with run.pipeline:
        yield run
        report = await run.end()
    for stream in report.streams:
        assert stream.decoded == stream.published + sum(stream.dropped.values())


def numbers(frames: Sequence[FrameMessage]) -> list[int | None]:
    """What is written in the pictures; None for one that was never in the clip."""
    return [int(f.detections[0].box[0]) if f.detections else None for f in frames]


def assert_whole(frames: Sequence[FrameMessage], clip_frames: int = 100) -> None:
    """No picture is missing, repeated, black or made up; `seq` has no gap."""
    found = numbers(frames)
    assert None not in found
    steps = {(b - a) % clip_frames for a, b in pairwise(n for n in found if n is not None)}
    assert steps <= {1}
    assert {b.seq - a.seq for a, b in pairwise(frames)} <= {1}


def assert_whole_in_each_epoch(frames: Sequence[FrameMessage], clip_frames: int = 100) -> None:
    """As `assert_whole` for each epoch; what was lost between them stays lost."""
    for epoch in {frame.epoch for frame in frames}:
        assert_whole([f for f in frames if f.epoch == epoch], clip_frames)


def ages_ms(frames: Sequence[FrameMessage]) -> list[float]:
    """From the arrival of each picture to the publication of what is in it."""
    return [(f.published_at - f.arrived_at).total_seconds() * 1000 for f in frames]


def unharmed(run: Run) -> None:
    """The good camera lost nothing."""
    assert run.report("good").connections.failed == 0
    assert run.report("good").dropped == {}
    assert_whole(run.frames("good"))


def recovered(run: Run) -> list[FrameMessage]:
    """The bad camera's frames: of its last epoch too, and none made up."""
    frames = run.frames("bad")
    assert frames[-1].epoch > frames[0].epoch
    assert_whole_in_each_epoch(frames)
    assert run.report("bad").connections.hung == 0
    return frames
