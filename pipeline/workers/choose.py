"""The choice of worker processes: how many pay, and which streams can have one."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.config import StreamConfig

Asked = int | Literal["auto"]

THREAD_HELD_MS: Final = 2.0
"""The time that a frame of a stream in a thread holds Python: decoding it, and all that follows."""
DECODE_HELD_MS: Final = 0.3
"""The part of that time that goes to a worker which decodes."""
MOST_HELD: Final = 0.5
"""The share of time that the interpreter may be held: beyond it, threads wait for each other."""
CORE_FPS: Final = 50.0
"""The frames that a core decodes and detects in a second."""
LEAST_CORES: Final = 12
"""The number of cores below which they are the limit before the interpreter is, and workers that
only decode cost CPU time."""
LIVE_FPS: Final = 25.0
"""The frames a second of a live stream that does not say how many."""
MOST_LIVE_HELD: Final = 0.35
"""The share of time that cameras may hold the interpreter where workers would detect, too."""
WORKER_HELD_MS: Final = 1.0
"""The time that a frame holds the interpreter of a worker that decodes it and detects in it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The number of workers, and the reason for the log."""

    count: int
    reason: str


def choose(
    asked: Asked, streams: Sequence[StreamConfig], cores: int, *, detect: bool = False
) -> Choice:
    """Choose the number of workers: with `auto`, none unless one interpreter would be the
    bottleneck. `detect`: they would compute, too.

    A frame that is decoded in a thread holds the interpreter for `THREAD_HELD_MS`, so
    1000 / `THREAD_HELD_MS` frames a second are the most that one process does, whatever its cores.

    Where workers detect, cameras that come near that (`MOST_LIVE_HELD`) have as many as share out
    what goes there, and two at least, but no more than there are cores or cameras. Files, which
    wait, gain nothing. Elsewhere workers are taken only where the streams come near it
    (`MOST_HELD`) before the cores are full (`LEAST_CORES`), and never more than half of the cores.
    `docs/performance.md` has the measurements.
    """
    if asked != "auto":
        return Choice(asked, "as configured")
    if not hasattr(os, "memfd_create"):
        return Choice(0, "this system has no anonymous shared memory")
    able = [stream for stream in streams if reason_to_stay(stream) is None]
    live = [stream for stream in able if stream.live]
    if detect and (share := _held(live)) > MOST_LIVE_HELD:
        wanted = math.ceil(_fps(live) * WORKER_HELD_MS / 1000 / MOST_LIVE_HELD)
        count = min(max(wanted, 2), cores, len(live))
        return Choice(count, f"{_said(live)} {share:.0%} of the time in one process")
    if cores < LEAST_CORES:
        return Choice(0, f"one process fills {cores} cores")
    share = _held(able)
    if share <= MOST_HELD:
        return Choice(0, f"{_said(able)} {share:.0%} of the time")
    wanted = math.ceil(_fps(able) * DECODE_HELD_MS / 1000 / MOST_HELD)
    count = max(1, min(wanted, cores // 2, len(able)))
    return Choice(count, f"{_said(able)} {share:.0%} of the time in one process")


def reason_to_stay(stream: StreamConfig) -> str | None:
    """The reason why a stream is decoded in the main process, whatever the number of workers. None:
    it need not be."""
    if stream.chaos is not None:
        return "its faults are made here"
    if stream.source.kind == "stdin":
        return "standard input is this process's"
    if stream.source.kind == "watch":
        return "its files are chosen here"
    if stream.hwaccel not in (None, "none"):
        return f"{stream.hwaccel} decodes it: every process would take memory of the device"
    return None


def repeats(stream: StreamConfig) -> bool:
    """True if the stream's source gives the same frames at every reading."""
    return not stream.live and stream.source.kind in ("file", "images", "street")


def _fps(streams: Sequence[StreamConfig]) -> float:
    return sum(stream.fps or (LIVE_FPS if stream.live else CORE_FPS) for stream in streams)


def _held(streams: Sequence[StreamConfig]) -> float:
    return _fps(streams) * THREAD_HELD_MS / 1000


def _said(streams: Sequence[StreamConfig]) -> str:
    fps = _fps(streams)
    return f"{len(streams)} streams, about {fps:.0f} frames a second, hold the interpreter for"
