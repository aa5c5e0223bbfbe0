"""Memory of a run whose cameras come and go, each with an id of its own."""

import gc
import tracemalloc
from collections import Counter
from pathlib import Path

from pipeline.config import StreamConfig
from pipeline.outlets.pixels import Pixels
from pipeline.run.member import Member
from pipeline.run.route import Route
from pipeline.stream.lane import Lane
from pipeline.stream.stream import Stream
from stages.health.watch import HealthWatch
from tests.pipeline.run.changing_run import Run, camera, recording, until
from tests.services import crossing, numbered
from tests.stages.sources.clips import encode

PARTS = (Stream, Lane, HealthWatch, Pixels, Route, Member)
COME_AND_GO = 12
MOST_BYTES = 16 << 10
"""What may stay of a removed stream: its account, its report, and what counts its messages."""


async def test_of_a_removed_stream_only_its_account_stays(tmp_path: Path) -> None:
    clip = encode(tmp_path / "long.mp4", 3000, rate=50)
    async with Run(camera("first", clip), keep_running=True) as run:
        await run.more("first")
        await run.remove("first")
        await come_and_go(run, clip, "second")
        parts_before = parts()
        tracemalloc.start()
        try:
            bytes_before = traced_bytes(run)
            for n in range(COME_AND_GO):
                await come_and_go(run, clip, f"cam{n}")
            grown = traced_bytes(run) - bytes_before
        finally:
            tracemalloc.stop()
        assert parts() == parts_before
        assert run._running()._turns == {}
        assert len(run.report().streams) == 2 + COME_AND_GO
    assert grown < COME_AND_GO * MOST_BYTES


async def test_a_stream_that_comes_again_goes_on_with_the_totals_of_its_lines(
    tmp_path: Path,
) -> None:
    clip = numbered.make(tmp_path / "a.mp4", crossing.AT + 30)
    file = recording("a", clip).model_dump()
    stream = StreamConfig.model_validate({**file, "lines": [crossing.LINE]})
    async with Run(stream, keep_running=True, detector=crossing.WALKERS) as run:
        await until(lambda: run.account("a").ended)
        await run.remove("a")
        await run.add(stream)
        await until(lambda: run.account("a").ended)
        run.drain()
        report = await run.wait()
    told = crossing.crossings(run.sink.messages)
    assert [sum(crossed.counts.values()) for crossed in told] == [1, 2]
    assert [crossed.epoch for crossed in told] == [0, 1]
    assert report.errors == []
    run.assert_accounted()


async def come_and_go(run: Run, clip: Path, stream_id: str) -> None:
    await run.add(camera(stream_id, clip))
    await run.more(stream_id)
    await run.remove(stream_id)


def parts() -> Counter[type]:
    """The parts of streams that are in memory now."""
    gc.collect()
    return Counter(type(one) for one in gc.get_objects() if type(one) in PARTS)


def traced_bytes(run: Run) -> int:
    """The memory in use now, without the messages."""
    run.sink.messages.clear()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
