"""A crew computes batches beside each other, and hands them on in order, whatever they take."""

import asyncio
import gc
import random
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineRunError
from pipeline.core.frame import Frame
from pipeline.core.messages import FrameMessage, decode
from pipeline.core.picture import Picture
from pipeline.run.crew import Crew, Duties, Found
from sinks.memory import MemorySink
from stages.sources.planes import YuvPicture
from tests.pipeline.load.load_world import frame
from tests.stages.sources.clips import encode

PATIENCE_S = 20.0


class Work:
    """Batches of one frame, numbered; `hold` are those that wait until `released`."""

    def __init__(self, batches: int, size: int, hold: int = -1, fails: int = -1) -> None:
        self.crew = Crew(
            size, Duties(self.take, self.detect, self.hand_on, self.note, self.end), SystemClock()
        )
        self._left = [[frame("a", seq)] for seq in reversed(range(batches))]
        self._hold, self._fails = hold, fails
        self.released = threading.Event()
        self.detected: list[int] = []
        self.handed_on: list[int] = []
        self.noted = self.ends = self.most_ahead = self._taken = 0
        self._busy = threading.Lock()
        self.errors: list[Exception] = []

    def run(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self.crew.size)]
        for thread in threads:
            thread.start()
        return threads

    def _work(self) -> None:
        try:
            self.crew.work()
        except ValueError as error:
            self.errors.append(error)

    def take(self) -> list[Frame]:
        if self._left:
            self._taken += 1
            self.most_ahead = max(self.most_ahead, self._taken - len(self.handed_on))
            return self._left.pop()
        return []

    def detect(self, frames: list[Frame]) -> list[Detections]:
        seq = frames[0].info.seq
        if seq == self._hold:
            assert self.released.wait(PATIENCE_S)
        for _ in range(random.Random(seq).randrange(200)):
            pass
        self.detected.append(seq)
        if seq == self._fails:
            raise ValueError("a batch that fails")
        return [Detections.empty()]

    def hand_on(self, found: Found) -> None:
        assert self._busy.acquire(blocking=False), "two threads hand on at once"
        self.handed_on += [frame.info.seq for frame, _ in found]
        self._busy.release()

    def note(self, frames: int, busy_s: float) -> None:
        assert busy_s >= 0
        self.noted += frames

    def end(self) -> None:
        self.ends += 1


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_all_is_handed_on_in_order_by_one_thread_at_a_time(size: int) -> None:
    work = Work(2000, size)
    join(work.run())
    assert work.handed_on == list(range(2000))
    assert (work.noted, work.ends, work.crew.over) == (2000, 1, True)
    assert work.most_ahead <= 3 * size


def test_one_slow_batch_holds_up_no_more_than_the_crew_can_keep() -> None:
    work = Work(100, size=2, hold=0)
    threads = work.run()
    deadline_s = time.monotonic() + PATIENCE_S
    while len(work.detected) < 4 and time.monotonic() < deadline_s:
        threads[0].join(0.001)
    assert work.detected == [1, 2, 3, 4]
    assert work.handed_on == []
    work.released.set()
    join(threads)
    assert work.handed_on == list(range(100))
    assert work.most_ahead <= 6


def test_a_batch_that_fails_is_passed_over_and_ends_its_thread() -> None:
    work = Work(50, size=2, fails=3)
    join(work.run())
    assert work.handed_on == [seq for seq in range(50) if seq != 3]
    assert [str(error) for error in work.errors] == ["a batch that fails"]
    assert (work.ends, work.crew.over) == (0, False)


def test_a_crew_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        Work(1, size=0)


def _found(picture: Picture) -> Detections:
    box = np.array([[0, 0, picture.width, picture.height]], np.float32) / np.float32(2)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))


async def test_a_run_with_a_crew_tells_every_frame_of_every_stream_in_order(
    tmp_path: Path,
) -> None:
    clips = [encode(tmp_path / f"{name}.mp4", 60) for name in "abc"]
    streams = [{"id": clip.stem, "source": {"kind": "file", "path": str(clip)}} for clip in clips]
    config = parse_config({"streams": streams, "sinks": [], "batch": {"size": 2}})
    sink = MemorySink()
    detector = ScriptedDetector(("person",), _found, concurrency=4)
    async with Pipeline(config, detector=detector, sinks=[sink]) as pipeline:
        report = await pipeline.wait()
    assert report.errors == []
    told = [decode(outgoing.body) for outgoing in sink.messages]
    for stream in report.streams:
        assert (stream.decoded, stream.published, stream.dropped) == (60, 60, {})
        frames = [m for m in told if isinstance(m, FrameMessage)]
        seqs = [m.seq for m in frames if m.stream_id == stream.stream_id]
        assert seqs == list(range(60))
        kinds = [m.kind for m in told if m.stream_id == stream.stream_id]
        assert kinds[-1] == "end_of_stream"


@pytest.mark.parametrize("frames", [1, 7, 30])
async def test_the_account_holds_where_a_crew_fails_or_is_left(tmp_path: Path, frames: int) -> None:
    clip = encode(tmp_path / "a.mp4", 60)
    streams = [{"id": f"s{n}", "source": {"kind": "file", "path": str(clip)}} for n in range(3)]
    config = parse_config({"streams": streams, "sinks": [], "batch": {"size": 2}})
    seen = 0
    guard = threading.Lock()

    def fail_at(picture: Picture) -> Detections:
        nonlocal seen
        with guard:
            seen += 1
            if seen == frames:
                raise EngineRunError("no more")
        return Detections.empty()

    detector = ScriptedDetector(("person",), fail_at, concurrency=3)
    pipeline = Pipeline(config, detector=detector, sinks=[MemorySink()])
    with pytest.raises(EngineRunError, match="no more"):
        async with pipeline:
            await pipeline.wait()
    for stream in pipeline.report().streams:
        assert stream.decoded == stream.published + sum(stream.dropped.values())


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_pixels_end_at_the_detector(tmp_path: Path, concurrency: int) -> None:
    """Nothing keeps the planes of a picture once its result is out, also while nothing comes."""
    planes: list[weakref.ref[Any]] = []

    def note(picture: Picture) -> Detections:
        assert isinstance(picture, YuvPicture)
        planes.extend(weakref.ref(plane) for plane in picture.planes)
        return Detections.empty()

    clip = encode(tmp_path / "a.mp4", 20)
    streams = [{"id": "a", "source": {"kind": "file", "path": str(clip)}}]
    config, sink = parse_config({"streams": streams, "sinks": []}), MemorySink()
    detector = ScriptedDetector(("person",), note, concurrency=concurrency)
    gc.disable()
    try:
        async with Pipeline(config, detector=detector, sinks=[sink], keep_running=True):
            async with asyncio.timeout(PATIENCE_S):
                while not sink.messages or sink.messages[-1].kind != "end_of_stream":
                    await asyncio.sleep(0.001)
                while any(plane() is not None for plane in planes):
                    await asyncio.sleep(0.001)
    finally:
        gc.enable()
    assert len(planes) == 3 * 20
