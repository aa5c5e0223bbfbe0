"""The whole pipeline on cameras: when the message of every picture is written."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from detectors.base import Detector
from pipeline import Pipeline
from pipeline.bench.clips import FPS
from pipeline.config import PipelineConfig
from sinks.base import Outgoing


class TimesSink:
    """A `Sink` that notes when each frame message comes: stream, number of the picture, time."""

    name = "times"

    def __init__(self) -> None:
        self.told: list[tuple[int, int, int]] = []

    def open(self) -> None:
        """See `Sink.open`."""

    def write(self, messages: Sequence[Outgoing]) -> None:
        """See `Sink.write`; never raises."""
        now_ns = time.monotonic_ns()
        for message in messages:
            if message.kind == "frame":
                number = round(json.loads(message.body)["pts_ns"] * FPS / 1e9)
                self.told.append((int(message.key.removeprefix("s")), number, now_ns))

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`: there is nothing to wait for."""

    def close(self) -> None:
        """See `Sink.close`."""


def run_live(
    config: PipelineConfig, detector: Detector, begin: Callable[[], None]
) -> dict[str, Any]:
    """Until all cameras are gone; a camera that is gone is no failure here."""
    sink = TimesSink()

    async def run() -> None:
        async with Pipeline(config, detector=detector, sinks=(sink,)) as pipeline:
            begin()
            await pipeline.wait()

    asyncio.run(run())
    return {"frames": len(sink.told), "times": sink.told}
