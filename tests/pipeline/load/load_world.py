"""Cameras and an engine in a time that is a number: nothing waits, and every run is the same."""

import heapq
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.config.file import parse_config
from pipeline.core.clock import SystemClock
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.picture import RgbPicture
from pipeline.load.load import Load
from pipeline.load.pace import Pace
from pipeline.run.flow import Flow
from pipeline.stream.stream import Stream
from stages.base import Counts
from stages.batch import Batcher

IMAGE = np.zeros((1, 1, 3), np.uint8)


def camera(name: str, **keys: Any) -> dict[str, Any]:
    """The section of a live stream whose pictures nobody watches."""
    source = {"kind": "rtsp", "url": "rtsp://camera/1"}
    return {"id": name, "source": source, "health": {"enabled": False}, **keys}


class Silent:
    """A source that gives nothing by itself."""

    live = True
    frame_count: int | None = None

    def __init__(self) -> None:
        self.counts = Counts()

    def frames(self) -> Iterator[Frame]:
        yield from ()

    def close(self) -> None:
        pass


def idle_stream(flow: Flow, name: str = "gate") -> Stream:
    """A stream of this flow that gives no frames."""
    (config,) = parse_config({"streams": [camera(name)]}).streams
    return Stream(
        config, lambda epoch, seq: Silent(), flow.condition, flow.tell, clock=SystemClock()
    )


def frame(stream_id: str, seq: int) -> Frame:
    info = FrameInfo(
        stream_id=stream_id, epoch=0, seq=seq, pts_ns=seq, captured_ns=0, arrived_ns=0,
        clock="arrival", uncertainty_ns=0, width=1, height=1,
    )  # fmt: skip
    return Frame(info, RgbPicture(IMAGE))


@dataclass
class Outcome:
    """What the engine was given: (second, stream) of every frame, and how old it was."""

    served: list[tuple[float, str]] = field(default_factory=list)
    ages_s: list[float] = field(default_factory=list)
    batches: list[tuple[float, int]] = field(default_factory=list)
    """(second, frames) of every batch."""
    latencies_s: list[tuple[float, float]] = field(default_factory=list)
    """(second at which it was handed on, latency) of every frame."""
    keeps: list[dict[str, float]] = field(default_factory=list)
    """The shares that were let through, one entry a change."""

    def between(self, from_s: float, to_s: float) -> Counter[str]:
        """Frames by stream in a span of time."""
        return Counter(name for at_s, name in self.served if from_s <= at_s < to_s)

    def latency_s(self, share: float, from_s: float, to_s: float = float("inf")) -> float:
        """So many of the frames that were handed on in a span of time were no slower."""
        span = sorted(latency for at_s, latency in self.latencies_s if from_s <= at_s < to_s)
        return span[min(int(share * len(span)), len(span) - 1)]

    def mean_batch(self, from_s: float, to_s: float = float("inf")) -> float:
        """Frames in a batch, over a span of time."""
        sizes = [frames for at_s, frames in self.batches if from_s <= at_s < to_s]
        return sum(sizes) / len(sizes)


class World(threading.Condition):
    """Clock, condition, cameras and engine in one.

    `arrivals` are the seconds at which each stream's frames come; `cost_s` is what a batch of so
    many frames takes at a given second; `threads` batches are computed beside each other.
    """

    def __init__(
        self,
        streams: list[dict[str, Any]],
        arrivals: dict[str, list[float]],
        cost_s: Callable[[float, int], float],
        batch: int = 4,
        target_s: float | None = None,
        threads: int = 1,
    ) -> None:
        super().__init__()
        self.now_s = 0.0
        self._cost_s = cost_s
        config = parse_config({"streams": streams, "sinks": [{"kind": "jsonl", "path": "-"}]})
        self.streams = {
            spec.id: Stream(spec, lambda e, s: Silent(), self, lambda _: None, clock=self)
            for spec in config.streams
        }
        self._events = [(at_s, name) for name, times in arrivals.items() for at_s in times]
        heapq.heapify(self._events)
        self._flights: list[tuple[float, list[Frame], float]] = []
        self._free_s = [0.0] * threads
        self._sources = {name: Silent() for name in self.streams}
        self._arrived_s: dict[tuple[str, int], float] = {}
        self.pace = Pace(target_s, batch, self, threads=threads)
        self._batcher = Batcher(self, batch, 0.005, self, self.pace)
        for stream in self.streams.values():
            self._batcher.lanes.append(stream.lane)
        self.load = Load(self, self.pace)
        self.outcome = Outcome()

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_ns(self) -> int:
        return round(self.now_s * 1e9)

    def wait(self, timeout: float | None = None) -> bool:
        """What a thread does that has nothing to do: the next frame arrives, or the time is up."""
        until_s = float("inf") if timeout is None else self.now_s + timeout
        if self._next_s() < float("inf") and self._next_s() <= until_s:
            self._step()
            return True
        if timeout is None:
            self._close()
            return True
        self.now_s = until_s
        return False

    def run(self, stop_s: float = float("inf"), *, abort: bool = False) -> Outcome:
        """Until all frames have come, or `stop_s`, and what waits is drained, or aborted."""
        lanes = [stream.lane for stream in self.streams.values()]
        while frames := self._batcher.take():
            self._note(frames)
            cost_s = self._cost_s(self.now_s, len(frames))
            self._depart(frames, cost_s)
            self._advance(min(self._free_s))
            if self.now_s >= stop_s:
                self._close()
                if abort:
                    for lane in lanes:
                        lane.abort()
        while self._flights:
            self._step()
        return self.outcome

    def _depart(self, frames: list[Frame], cost_s: float) -> None:
        """Into the engine; what is found is handed on in the order of taking."""
        done_s = self.now_s + cost_s
        self._free_s[self._free_s.index(min(self._free_s))] = done_s
        last_s = self._flights[-1][0] if self._flights else 0.0
        self._flights.append((max(done_s, last_s), frames, cost_s))

    def _land(self) -> None:
        self.now_s, frames, cost_s = self._flights.pop(0)
        for item in frames:
            info = item.info
            arrived_s = self._arrived_s[info.stream_id, info.seq]
            self.outcome.latencies_s.append((self.now_s, self.now_s - arrived_s))
            self.streams[info.stream_id].account.publish(info.seq)
        self._batcher.handed_on()
        self.load.worked(len(frames), cost_s / len(self._free_s))
        gated = [stream for stream in self.streams.values() if stream.gate is not None]
        gates = [stream.gate for stream in gated if stream.gate is not None]
        self.load.judge(gates, waiting=sum(stream.lane.waiting for stream in gated))
        keep = self.load.report().keep
        if keep != (self.outcome.keeps[-1] if self.outcome.keeps else {}):
            self.outcome.keeps.append(keep)

    def _note(self, frames: list[Frame]) -> None:
        self.outcome.batches.append((self.now_s, len(frames)))
        for item in frames:
            info = item.info
            self.outcome.served.append((self.now_s, info.stream_id))
            age_s = self.now_s - self._arrived_s[info.stream_id, info.seq]
            self.outcome.ages_s.append(age_s)

    def _next_s(self) -> float:
        landing_s = self._flights[0][0] if self._flights else float("inf")
        return min(landing_s, self._events[0][0] if self._events else float("inf"))

    def _step(self) -> None:
        """The next thing that happens: frames arrive before results of the same moment land."""
        landing_s = self._flights[0][0] if self._flights else float("inf")
        if self._events and self._events[0][0] <= landing_s:
            self._arrive()
        else:
            self._land()

    def _advance(self, until_s: float) -> None:
        while self._next_s() <= until_s:
            self._step()
        self.now_s = max(self.now_s, until_s)

    def _arrive(self) -> None:
        at_s, name = heapq.heappop(self._events)
        self.now_s = max(self.now_s, at_s)
        stream, source = self.streams[name], self._sources[name]
        seq = stream.account.next_seq
        source.counts.decoded_total += 1
        self._arrived_s[name, seq] = self.now_s
        stream._take(source, frame(name, seq))

    def _close(self) -> None:
        self._events.clear()
        for stream in self.streams.values():
            stream.stop()
            stream.lane.close()


def regular(fps: float, seconds: float, offset_s: float = 0.0) -> list[float]:
    """The seconds at which a camera's frames come."""
    return [offset_s + number / fps for number in range(round(fps * seconds))]


def linear(frame_s: float) -> Callable[[float, int], float]:
    """An engine that takes as long for every frame, whatever the batch."""
    return lambda now_s, frames: frame_s * frames
