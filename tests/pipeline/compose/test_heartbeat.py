"""Streams say that they are alive, and with it what a consumer must have by then."""

from collections import Counter
from pathlib import Path

from pipeline.core.messages import EndOfStreamMessage
from tests.pipeline.run.changing_run import Run, camera, recording, until
from tests.stages.sources.clips import encode


async def test_a_live_stream_beats_with_its_account_until_its_end(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 60)
    async with Run(camera("gate", clip), heartbeat_s=0.05) as run:
        await until(lambda: len(run.heartbeats("gate")) >= 3)
        run.drain()
        await run.wait()
    beats = run.heartbeats("gate")
    assert [beat.number for beat in beats] == list(range(1, len(beats) + 1))
    assert {beat.interval_s for beat in beats} == {0.05}
    for beat in beats:
        assert beat.decoded == beat.published + sum(beat.dropped.values()) + beat.waiting
    run.assert_accounted()
    told = run.told("gate")
    end = told[-1]
    assert isinstance(end, EndOfStreamMessage)
    assert end.messages == Counter(message.kind for message in told)


async def test_a_heartbeat_counts_the_messages_before_it_and_itself(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 60)
    async with Run(camera("gate", clip), heartbeat_s=0.05) as run:
        await until(lambda: len(run.heartbeats("gate")) >= 3)
    told = run.told("gate")
    for beat in run.heartbeats("gate"):
        place = next(n for n, m in enumerate(told) if getattr(m, "heartbeat", None) == beat)
        assert beat.messages == Counter(message.kind for message in told[: place + 1])


async def test_a_paused_stream_is_alive_and_says_so(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 600)
    async with Run(camera("gate", clip), heartbeat_s=0.05) as run:
        await run.more("gate")
        await run.pause("gate")
        await until(lambda: run.heartbeats("gate")[-1:] != [] and _last(run) == "paused")
        await run.resume("gate")
        await until(lambda: _last(run) == "up")


def _last(run: Run) -> str:
    return run.heartbeats("gate")[-1].state


async def test_a_recording_has_no_heartbeats(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 60)
    async with Run(recording("file", clip), heartbeat_s=0.001) as run:
        await run.wait()
    assert run.heartbeats("file") == []
    assert len(run.frames("file")) == 60


async def test_heartbeats_can_be_off(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 20)
    async with Run(camera("gate", clip), heartbeat_s=0) as run:
        await run.more("gate")
        run.drain()
        await run.wait()
    assert run.heartbeats("gate") == []
