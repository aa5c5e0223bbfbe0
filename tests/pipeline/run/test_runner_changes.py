"""Streams that change while others run: real decoding at the pace of a camera, real threads."""

import asyncio
import os
import random
from functools import partial
from pathlib import Path

import pytest

from pipeline.config import LineConfig, ZoneConfig
from pipeline.core.errors import ConfigError, EyrieError
from pipeline.core.messages import (
    EndOfStreamMessage,
)
from pipeline.run.changes import Changes
from tests.pipeline.run.changing_run import (
    BUSY_S,
    Run,
    camera,
    no_more_threads_than,
    of,
    recording,
    threads,
    until,
)
from tests.stages.sources.clips import encode


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute at 50 pictures a second: longer than any test here."""
    return encode(tmp_path_factory.mktemp("clips") / "long.mp4", 3000, rate=50)


async def test_a_stream_is_added_and_removed_while_another_runs(clip: Path) -> None:
    async with Run(camera("a", clip)) as run:
        await run.more("a")
        await run.add(camera("b", clip))
        await run.more("a", "b")
        assert run.streams == {"a": "running", "b": "running"}
        await run.remove("b")
        assert run.streams == {"a": "running"}
        await until(lambda: run.told("b")[-1].kind == "end_of_stream")
        await run.more("a")
        run.drain()
        report = await run.wait()
    assert report.errors == []
    last = run.told("b")[-1]
    assert isinstance(last, EndOfStreamMessage)
    assert last.error is None
    assert [stream.stream_id for stream in report.streams] == ["a", "b"]
    assert last.decoded == report.streams[1].decoded
    assert last.decoded - last.published == last.dropped.get("stopped", 0) <= 1
    assert run.statuses("b") == [("up", None), ("down", "removed")]
    run.assert_undisturbed("a")
    run.assert_undisturbed("b")
    run.assert_accounted()


async def test_a_paused_stream_says_so_and_goes_on_in_the_next_epoch(clip: Path) -> None:
    async with Run(camera("a", clip), camera("b", clip)) as run:
        await run.more("a", "b")
        for _ in range(2):
            await run.pause("b")
            assert run.streams["b"] == "paused"
            await until(lambda: run.statuses("b")[-1] == ("down", "paused"))
            paused_at = run.account("b").decoded
            await run.pause("b")
            await run.more("a")
            assert run.account("b").decoded == paused_at
            await run.resume("b")
            await run.more("b")
            await run.resume("b")
        run.drain()
        await run.wait()
    frames = run.frames("b")
    run.assert_only_stops_cost(3, "b")
    assert {frame.epoch for frame in frames} == {0, 1, 2}
    tracks = {(frame.epoch, d.track_id) for frame in frames for d in frame.detections}
    assert tracks - {(epoch, None) for epoch in range(3)} == {(0, 1), (1, 2), (2, 3)}
    assert run.statuses("b") == [("up", None), ("down", "paused")] * 2 + [("up", None)]
    run.assert_undisturbed("a")
    run.assert_accounted()


async def test_a_run_waits_for_its_only_stream_while_that_is_paused(clip: Path) -> None:
    async with Run(camera("a", clip)) as run:
        await run.more("a")
        await run.pause("a")
        waiting = asyncio.create_task(run.wait())
        await run.resume("a")
        await run.more("a")
        await run.pause("a")
        assert not waiting.done()
        run.drain()
        await asyncio.wait_for(waiting, BUSY_S)
    assert [m.kind for m in run.told("a")].count("end_of_stream") == 1
    assert run.told("a")[-1].kind == "end_of_stream"


async def test_an_id_that_is_added_again_goes_on_counting(clip: Path) -> None:
    async with Run(camera("a", clip), camera("b", clip)) as run:
        await run.more("b")
        await run.remove("b")
        before = run.account("b").decoded
        await run.add(camera("b", clip))
        await run.more("b")
        run.drain()
        await run.wait()
    frames = run.frames("b")
    run.assert_only_stops_cost(2, "b")
    assert next(frame.epoch for frame in frames if frame.seq >= before) == 1
    assert [m.kind for m in run.told("b")].count("end_of_stream") == 2
    run.assert_accounted()


async def test_a_changed_configuration_restarts_and_the_same_one_does_not(clip: Path) -> None:
    left = {"name": "left", "start": (10, 0), "end": (10, 48)}
    async with Run(camera("a", clip), camera("b", clip)) as run:
        await run.more("a", "b")
        await run.reconfigure(camera("b", clip))
        assert run.statuses("b") == [("up", None)]
        await run.reconfigure(camera("b", clip, fps=10, lines=(left,)))
        await until(lambda: run.statuses("b")[1:2] == [("down", "restarted")])
        await run.more("b")
        await run.pause("b")
        await run.reconfigure(camera("b", clip, fps=20))
        assert run.streams["b"] == "paused"
        await run.restart("b")
        await run.more("b")
        run.drain()
        await run.wait()
    dropped = run.account("b").dropped
    assert dropped["target_fps"] > 0
    assert {frame.epoch for frame in run.frames("b")} == {0, 1, 2}
    run.assert_undisturbed("a")
    run.assert_accounted()


async def test_a_stream_whose_lines_alone_change_goes_on_without_a_restart(clip: Path) -> None:
    left = LineConfig(name="left", start=(10.0, 0.0), end=(10.0, 90.0))
    yard = ZoneConfig(name="yard", polygon=((0.0, 0.0), (64.0, 0.0), (0.0, 48.0)))
    async with Run(camera("a", clip)) as run:
        await run.more("a")
        await run.reconfigure(camera("a", clip, lines=(left,), zones=(yard,)))
        await run.more("a")
        with pytest.raises(ConfigError, match=r"streams\.a\.zones\[0\]\.classes: 'x' is unknown"):
            await run.reconfigure(
                camera("a", clip, zones=(yard.model_copy(update={"classes": ("x",)}),))
            )
        run.drain()
        await run.wait()
    assert run.statuses("a")[0] == ("up", None)
    assert ("down", "restarted") not in run.statuses("a")
    assert {frame.epoch for frame in run.frames("a")} == {0}
    run.assert_accounted()


async def test_files_end_and_start_again_and_keep_their_turns(tmp_path: Path, clip: Path) -> None:
    short = encode(tmp_path / "short.mp4", 12)
    async with Run(
        recording("first", clip), recording("waits", short), camera("c", clip), parallel_files=1
    ) as run:
        await run.more("first", "c")
        await run.add(recording("last", short))
        await run.remove("waits")
        await until(lambda: len(run.told("waits")) == 2)
        assert [m.kind for m in run.told("waits")] == ["stream_status", "end_of_stream"]
        assert run.account("last").decoded == 0
        await run.remove("first")
        await until(lambda: run.streams["last"] == "ended")
        with pytest.raises(ConfigError, match=r"streams\.last: the stream has ended"):
            await run.pause("last")
        await run.restart("last")
        await until(lambda: run.streams["last"] == "ended")
        run.drain()
        report = await run.wait()
    assert report.errors == []
    assert [frame.epoch for frame in run.frames("last")] == [0] * 12 + [1] * 12
    run.assert_undisturbed("c")
    run.assert_accounted()


async def test_a_run_that_keeps_running_waits_for_streams(tmp_path: Path) -> None:
    short = encode(tmp_path / "short.mp4", 6)
    async with Run(recording("a", short), keep_running=True) as run:
        waiting = asyncio.create_task(run.wait())
        await until(lambda: run.streams["a"] == "ended")
        await run.remove("a")
        assert run.streams == {}
        await run.add(recording("b", short))
        await until(lambda: run.streams["b"] == "ended")
        assert not waiting.done()
        run.drain()
        report = await asyncio.wait_for(waiting, BUSY_S)
    assert [stream.published for stream in report.streams] == [6, 6]


async def test_removing_the_last_stream_ends_the_run(clip: Path) -> None:
    async with Run(camera("a", clip)) as run:
        await run.more("a")
        await run.remove("a")
        report = await asyncio.wait_for(run.wait(), BUSY_S)
        with pytest.raises(EyrieError, match="stream 'b': the run is ending"):
            await run.add(camera("b", clip))
    assert report.errors == []
    run.assert_undisturbed("a")


async def test_what_cannot_be_is_refused_in_one_line(clip: Path, tmp_path: Path) -> None:
    async with Run(camera("a", clip), tracking={"enabled": False}) as run:
        line = {"name": "l", "start": (0, 0), "end": (9, 9)}
        folder = {"kind": "files", "pattern": str(tmp_path)}
        refused = [
            (run.add(camera("a", clip)), "streams.a: there is a stream of this id already"),
            (run.add(camera("b", clip, lines=[line])), "lines, zones, planes are about tracks"),
            (run.remove("b"), "streams.b: no such stream; there are: a"),
            (run.pause("b"), "no such stream"),
            (run.resume("b"), "no such stream"),
            (run.restart("b"), "no such stream"),
            (run.reconfigure(camera("b", clip)), "no such stream"),
            (run.add(camera("b", clip, source=folder)), "neither videos nor pictures"),
        ]
        for change, why in refused:
            with pytest.raises(ConfigError, match=why) as refusal:
                await change
            assert "\n" not in str(refusal.value)
        encode(tmp_path / "x.mp4", 5)
        with pytest.raises(ConfigError, match=r"streams\.a\.source\.kind: kind files"):
            await run.reconfigure(camera("a", clip, source=folder))
        await run.add(camera("b", clip, source=folder))
        await until(lambda: run.streams.get("b-x") == "ended")
        assert run.streams["a"] == "running"
    with pytest.raises(RuntimeError, match="async with"):
        await Run(camera("a", clip)).remove("a")


async def test_a_stream_that_hangs_is_removed_and_others_do_not_wait(
    tmp_path: Path, clip: Path
) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)  # opening it blocks until somebody writes
    async with Run(recording("hung", pipe), camera("a", clip)) as run:
        await run.more("a")
        removal = asyncio.create_task(run.remove("hung"))
        await run.pause("a")
        await run.resume("a")
        await run.more("a")
        await asyncio.wait_for(removal, BUSY_S)
        await until(lambda: [m.kind for m in run.told("hung")][-1:] == ["end_of_stream"])
        run.drain()
        await run.wait()
        os.close(os.open(pipe, os.O_RDWR))  # lets go of the reader
    run.assert_accounted()


async def test_a_change_whose_caller_is_cancelled_is_completed(clip: Path) -> None:
    async with Run(camera("a", clip), camera("b", clip)) as run:
        await run.more("b")
        change = asyncio.create_task(run.pause("b"))
        await asyncio.sleep(0)
        change.cancel()
        with pytest.raises(asyncio.CancelledError):
            await change
        await until(lambda: run.streams["b"] == "paused")
        await run.resume("b")
        await run.more("b")


@pytest.mark.parametrize("ending", ["drain", "abort"])
async def test_changes_that_meet_the_end_of_the_run_fail_and_nothing_hangs(
    clip: Path, ending: str
) -> None:
    async with Run(*(camera(name, clip) for name in "abcd")) as run:
        await run.more(*"abcd")
        changes = [run.pause("a"), run.restart("b"), run.remove("c"), run.add(camera("e", clip))]
        tasks = [asyncio.create_task(change) for change in changes]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        run.drain() if ending == "drain" else run.abort()
        outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), BUSY_S)
        assert all(outcome is None or isinstance(outcome, EyrieError) for outcome in outcomes)
        report = await asyncio.wait_for(run.wait(), BUSY_S)
    for stream in report.streams:
        assert stream.decoded == stream.published + sum(stream.dropped.values())
        if ending == "drain":
            assert run.told(stream.stream_id)[-1].kind == "end_of_stream"
    assert threads() == 0


async def test_of_several_changes_that_fail_none_is_silent(
    clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(why: str) -> None:
        raise ConfigError("streams", why)

    run = Run(camera("a", clip))
    with pytest.raises(ConfigError, match="first"):
        await run._change(fail("first"), fail("second"), fail("third"))
    told = [f"a stream was not changed: streams: {why}" for why in ("second", "third")]
    assert caplog.messages == told


async def test_another_configuration_touches_only_what_differs(clip: Path) -> None:
    async with Run(*(camera(name, clip) for name in "abc")) as run:
        await run.more(*"abc")
        new = of(
            camera("a", clip), camera("b", clip, fps=25), camera("d", clip),
            batch={"size": 3}, drain_timeout_s=7,
        )  # fmt: skip
        changes = await run.reload(new)
        refused = ("batch.size", "drain_timeout_s")
        assert changes == Changes(("d",), ("c",), ("b",), refused)
        assert await run.reload(new) == Changes(refused=refused)
        await run.more(*"abd")
        assert str(changes) == "added d; removed c; changed b"
        assert run.streams == dict.fromkeys("abd", "running")
        with pytest.raises(ConfigError):
            await run.reload(new.model_copy(update={"streams": (camera("a", clip),) * 2}))
        assert run.streams == dict.fromkeys("abd", "running")
        run.drain()
        await run.wait()
    run.assert_undisturbed("a")
    assert {frame.epoch for frame in run.frames("b")} == {0, 1}
    run.assert_accounted()


async def test_many_random_changes_hurt_nobody_and_lose_nothing(clip: Path) -> None:
    rng = random.Random(20261128)
    names = "bcde"
    async with Run(camera("still", clip), camera("b", clip)) as run:
        await run.more("still")
        done = 0
        for _ in range(60):
            name = rng.choice(names)
            state = run.streams.get(name)
            if state is None:
                await run.add(camera(name, clip))
            elif state == "paused":
                await rng.choice((run.resume, run.remove, run.restart))(name)
            else:
                await rng.choice((run.pause, run.remove, run.restart))(name)
            done += 1
            assert run.streams["still"] == "running"
            running = list(run.streams.values()).count("running")
            await until(partial(no_more_threads_than, running))
            if rng.random() < 0.3:
                await run.more(*(n for n, state in run.streams.items() if state == "running"))
        assert done == 60
        run.drain()
        report = await run.wait()
    assert report.errors == []
    run.assert_undisturbed("still")
    run.assert_accounted()
    for account in report.streams:
        assert run.told(account.stream_id)[-1].kind == "end_of_stream"
        told = run.told(account.stream_id)
        last = told[-1]
        assert isinstance(last, EndOfStreamMessage)
        assert (last.decoded, last.published) == (account.decoded, account.published)
    assert threads() == 0
