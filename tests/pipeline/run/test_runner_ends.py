"""How a run ends, whatever hangs in it, and what it says of itself on the way."""

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import pytest

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.build import evidence as open_evidence
from pipeline.build import outlets as open_outlet
from pipeline.core.clock import SystemClock
from pipeline.core.errors import ConfigError, SinkUnavailable
from pipeline.run import member, runner
from sinks.base import Outgoing
from sinks.memory import MemorySink
from tests.pipeline.run.changing_run import (
    BUSY_S,
    DETECTOR,
    Run,
    camera,
    of,
    one_person,
    recording,
    until,
)
from tests.stages.sources.clips import encode

SHORT_S = 0.5
"""How long threads are waited for here before they are abandoned."""


class StuckSink(MemorySink):
    """Takes its first messages, then nothing, until it is let go."""

    def __init__(self, name: str = "stuck") -> None:
        super().__init__(name)
        self.reached, self.let_go = threading.Event(), threading.Event()

    def write(self, messages: Sequence[Outgoing]) -> None:
        self.reached.set()
        self.let_go.wait(60)
        super().write(messages)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clips") / "a.mp4", 200, rate=100)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (member, runner):
        monkeypatch.setattr(module, "ABANDON_AFTER_S", SHORT_S)


@pytest.mark.usefixtures("impatient")
async def test_a_drain_keeps_its_time_though_a_stream_cannot_even_tell_its_end(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sink is stuck, so the inbox is full, and so is the lane."""
    monkeypatch.setattr(open_outlet, "_GIVEN_SINK_QUEUE", 1)
    sink = StuckSink()
    config = of(recording("a", clip), camera("b", clip), drain_timeout_s=SHORT_S)
    async with Pipeline(config, detector=DETECTOR, sinks=[sink]) as pipeline:
        await until(sink.reached.is_set)
        inbox, flow = pipeline._flow.inbox if pipeline._flow else None, pipeline._flow
        assert inbox is not None
        assert flow is not None
        await until(lambda: inbox.statistics().waiting == inbox._capacity)
        pipeline.drain()
        report = await asyncio.wait_for(pipeline.wait(), 10)
        sink.let_go.set()
    assert report.errors[0] == f"the run was not drained within {SHORT_S} s and was aborted"
    for stream in report.streams:
        assert stream.decoded == stream.published + sum(stream.dropped.values())


@pytest.mark.usefixtures("impatient")
async def test_an_abort_comes_from_any_thread_and_ends_what_hangs(clip: Path) -> None:
    sinks = [StuckSink("one"), StuckSink("two")]
    async with Pipeline(of(camera("a", clip)), detector=DETECTOR, sinks=sinks) as pipeline:
        await until(lambda: all(sink.reached.is_set() for sink in sinks))
        await asyncio.to_thread(pipeline.abort)
        report = await asyncio.wait_for(pipeline.wait(), 10)
        for sink in sinks:
            sink.let_go.set()
    (stream,) = report.streams
    assert stream.decoded == stream.published + sum(stream.dropped.values())


async def test_a_drain_comes_from_any_thread(clip: Path) -> None:
    async with Run(camera("a", clip)) as run:
        await run.more("a")
        await asyncio.to_thread(run.drain)
        report = await asyncio.wait_for(run.wait(), BUSY_S)
    assert report.errors == []
    assert report.streams[0].decoded < 200
    assert run.told("a")[-1].kind == "end_of_stream"


async def test_an_abort_after_the_end_has_no_effect(clip: Path) -> None:
    async with Run(recording("a", clip)) as run:
        await asyncio.wait_for(run.wait(), BUSY_S)
        await asyncio.to_thread(run.abort)
    run.abort()
    run.drain()
    assert run.report().streams[0].published == 200


async def test_given_sinks_have_names_of_their_own(clip: Path) -> None:
    config = of(recording("a", clip))
    with pytest.raises(ConfigError, match="sinks: 2 sinks are called 'memory'"):
        async with Pipeline(config, detector=DETECTOR, sinks=[MemorySink(), MemorySink()]):
            pass


async def test_a_report_does_not_change_afterwards(clip: Path) -> None:
    async with Run(camera("a", clip)) as run:
        await run.more("a")
        (before,) = run.report().streams
        published, told = before.published, dict(before.detections)
        await run.more("a")
        (after,) = run.report().streams
    assert before is not after
    assert (before.published, before.detections) == (published, told)
    assert after.published > published
    assert after.detections["person"] > told["person"]


async def test_a_run_without_sinks_goes_on_to_its_end(clip: Path) -> None:
    async with Pipeline(of(recording("a", clip)), detector=DETECTOR) as pipeline:
        report = await asyncio.wait_for(pipeline.wait(), BUSY_S)
    assert report.errors == []
    assert report.streams[0].published == 200


class ShiftedClock(SystemClock):
    """A clock that began at another moment than the machine's."""

    def monotonic_s(self) -> float:
        return time.monotonic() + 1e6


async def test_ages_are_by_the_clock_of_the_caller(clip: Path) -> None:
    live = camera("a", clip, max_age_ms=60_000)
    async with Run(live, clock=ShiftedClock()) as run:
        report = await asyncio.wait_for(run.wait(), BUSY_S)
    (stream,) = report.streams
    assert stream.published > 0
    assert "late" not in stream.dropped
    assert 0 <= stream.oldest_s < 60


async def test_evidence_is_closed_again_if_a_later_part_cannot_be_opened(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = {"name": "l", "start": (0, 0), "end": (9, 9), "classes": ["unicorn"]}
    config = of(camera("a", clip, lines=[line]), evidence={"folder": str(tmp_path)})
    outlet = open_evidence.make_evidence_outlet(config)
    assert outlet is not None
    monkeypatch.setattr(open_evidence, "make_evidence_outlet", lambda config: outlet)
    with pytest.raises(ConfigError, match="'unicorn' is unknown"):
        async with Pipeline(config, detector=DETECTOR):
            pass
    assert outlet._channel.closed


async def test_a_configuration_that_is_refused_leaves_the_stream_as_it_is(clip: Path) -> None:
    cars = ScriptedDetector(("car",), one_person)
    async with Run(camera("a", clip), detector=cars) as run:
        await run.more("a")
        with pytest.raises(ConfigError, match="people cannot be hidden"):
            await run.reconfigure(camera("a", clip, fps=50, privacy="persons"))
        with pytest.raises(ConfigError, match="people cannot be hidden"):
            await run.add(camera("b", clip, privacy="persons"))
        assert run.streams == {"a": "running"}
        await run.more("a")
    assert run.statuses("a") == [("up", None)]
    assert [stream.stream_id for stream in run.report().streams] == ["a"]


async def test_what_is_open_is_closed_however_often_its_caller_is_cancelled(clip: Path) -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Closing(MemorySink):
        def close(self) -> None:
            super().close()
            loop.call_soon_threadsafe(closed.set)

    async def run() -> None:
        async with Pipeline(
            of(camera("a", clip)), detector=DETECTOR, sinks=[Closing()]
        ) as pipeline:
            began.set()
            await pipeline.wait()

    began = asyncio.Event()
    task = asyncio.create_task(run())
    await began.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


async def test_an_iterator_that_ends_in_a_sink_is_an_error_and_no_silence(clip: Path) -> None:
    class Empty(MemorySink):
        def open(self) -> None:
            next(iter(()))

    sink = Empty()
    with pytest.raises(RuntimeError, match="StopIteration"):
        async with (
            asyncio.timeout(20),
            Pipeline(of(recording("a", clip)), detector=DETECTOR, sinks=[sink]) as pipeline,
        ):
            await pipeline.wait()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SinkUnavailable("b", "no space left"), "no space left"),
        (ValueError("no\nfile"), r"unexpected ValueError: no\nfile"),
        (StopIteration(), "unexpected StopIteration: "),
    ],
)
async def test_a_sink_that_cannot_be_closed_is_reported_and_the_others_are_closed(
    clip: Path, error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []

    class Closing(MemorySink):
        def close(self) -> None:
            closed.append(self.name)
            if self.name == "b":
                raise error

    pipeline = Pipeline(
        of(recording("a", clip)), detector=DETECTOR, sinks=[Closing(name) for name in "abc"]
    )
    async with asyncio.timeout(20), pipeline:
        assert (await pipeline.wait()).errors == []
    assert closed == ["c", "b", "a"]
    told = f"sink 'b': cannot be closed: {said}"
    assert pipeline.report().errors == [told]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [told]


async def test_a_pipeline_runs_once(clip: Path) -> None:
    pipeline = Pipeline(of(recording("a", clip)), detector=DETECTOR)
    async with pipeline:
        with pytest.raises(RuntimeError, match="runs once"):
            await pipeline.__aenter__()
        await pipeline.wait()
    with pytest.raises(RuntimeError, match="runs once"):
        await pipeline.__aenter__()


async def test_opencv_has_no_threads_that_a_run_would_wait_for(clip: Path) -> None:
    cv2.setNumThreads(2)
    async with Pipeline(of(recording("a", clip)), detector=DETECTOR) as pipeline:
        await pipeline.wait()
    assert cv2.getNumThreads() == 1
