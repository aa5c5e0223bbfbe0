"""Clips of events of real cameras: playable, complete, and the camera's own packets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av

from pipeline import Pipeline
from pipeline.account import EvidenceReport
from pipeline.config.file import parse_config
from pipeline.core.messages import LineCrossMessage
from sinks.memory import MemorySink
from tests.integration.conftest import SiteMaker
from tests.integration.rtsp_run import BUSY_S, Run, camera
from tests.services import crossing, numbered

KEYS = 10
"""Pictures from one key frame to the next in these clips."""


class Keeping(Run):
    """A pipeline over one camera that keeps clips of its events."""

    def __init__(self, folder: Path, url: str, clip: dict[str, Any]) -> None:
        self.sink, self.folder = MemorySink(), folder
        stream = {**camera("gate", url), "lines": [crossing.LINE]}
        evidence = {"folder": str(folder), "snapshot": None, "clip": clip}
        config = parse_config({"streams": [stream], "evidence": evidence})
        self.pipeline = Pipeline(config, detector=crossing.WALKERS, sinks=[self.sink])

    @property
    def events(self) -> list[LineCrossMessage]:
        return crossing.crossings(list(self.sink.messages))

    @property
    def evidence(self) -> EvidenceReport:
        report = self.pipeline.report().evidence
        assert report is not None
        return report

    def clip_of(self, event: LineCrossMessage) -> Path:
        (kept,) = event.evidence
        assert kept.path is not None, kept.missing
        return self.folder / kept.path

    def number_of(self, event: LineCrossMessage) -> int:
        """What is written in the picture that the event is told with."""
        (frame,) = [f for f in self.frames("gate") if f.seq == event.seq]
        return round(frame.detections[0].box[0]) - 70 + crossing.AT


@asynccontextmanager
async def keeping(folder: Path, url: str, **clip: Any) -> AsyncIterator[Keeping]:
    run = Keeping(folder, url, clip)
    async with run.pipeline:
        yield run
        await run.end()
    assert run.evidence.waiting == 0
    assert list(folder.glob("**/*.part")) == []


def assert_runs_on(found: list[int | None], length: int = 100) -> None:
    """No picture is missing, repeated or grey; the camera's clip loops."""
    assert None not in found
    known = [number for number in found if number is not None]
    assert known == [(known[0] + step) % length for step in range(len(known))]


async def test_a_clip_covers_its_event_with_the_packets_of_the_camera(
    make_site: SiteMaker, clips: dict[str, Path], tmp_path: Path
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    async with keeping(tmp_path / "kept", site.url("plain"), before_s=2, after_s=1) as run:
        await run.until(lambda: len(run.events) >= 1, BUSY_S)
        await run.until(lambda: run.evidence.written.get("clip") == 1, BUSY_S)
    clip, at = run.clip_of(run.events[0]), run.number_of(run.events[0])
    found = crossing.numbers_of(clip)
    assert_runs_on(found)
    # as far back as asked, and at most to the key frame before; or to the first of the connection
    assert found[0] in range(at - 20 - KEYS, at - 20 + 1)
    assert found[-1] in range(at + 10, at + 10 + 2)
    crossing.assert_cut_from(clip, clips["plain"])
    with av.open(str(clip)) as container:
        assert container.start_time == 0
        assert container.duration == len(found) * 1_000_000 // numbered.FPS
    assert run.evidence.dropped == {}


async def test_hevc_is_kept_as_it_is(
    make_site: SiteMaker, clips: dict[str, Path], tmp_path: Path
) -> None:
    site = await asyncio.to_thread(make_site, {"hevc": clips["hevc"]})
    async with keeping(tmp_path / "kept", site.url("hevc"), before_s=1, after_s=0.5) as run:
        await run.until(lambda: run.evidence.written.get("clip") == 1, BUSY_S)
    clip = run.clip_of(run.events[0])
    assert_runs_on(crossing.numbers_of(clip))
    crossing.assert_cut_from(clip, clips["hevc"])


async def test_a_lost_connection_ends_a_clip_and_the_next_has_one_again(
    make_site: SiteMaker, clips: dict[str, Path], tmp_path: Path
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    async with keeping(tmp_path / "kept", site.url("plain"), before_s=1, after_s=60) as run:
        await run.until(lambda: len(run.events) == 1, BUSY_S)
        await run.published("gate", 5)
        assert run.evidence.written == {}
        await asyncio.to_thread(site.kill)
        await run.until(lambda: run.evidence.written.get("clip") == 1, BUSY_S)
        await asyncio.to_thread(site.start)
        await run.until(lambda: len(run.events) == 2, 2 * BUSY_S)
        await run.published("gate", 5)
    first, second = run.events
    assert second.epoch > first.epoch
    for event in (first, second):
        found = crossing.numbers_of(run.clip_of(event))
        assert_runs_on(found)
        assert run.number_of(event) in found
    assert run.evidence.written == {"clip": 2}


async def test_another_picture_size_ends_a_clip(
    make_site: SiteMaker, clips: dict[str, Path], tmp_path: Path
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    async with keeping(tmp_path / "kept", site.url("plain"), before_s=1, after_s=60) as run:
        await run.until(lambda: len(run.events) == 1, BUSY_S)
        await asyncio.to_thread(site.order, f"switch plain {clips['small']}")
        await run.until(lambda: run.evidence.written.get("clip") == 1, BUSY_S)
        await run.until(lambda: len(run.events) == 2, 2 * BUSY_S)
        await run.published("gate", 5)
    sizes = []
    for event in run.events:
        clip = run.clip_of(event)
        assert_runs_on(crossing.numbers_of(clip))
        with av.open(str(clip)) as container:
            shown = {(f.width, f.height) for f in container.decode(video=0)}
            sizes.append(shown)
            video = container.streams.video[0]
            assert {(video.width, video.height)} == shown
    assert sizes == [{(160, 96)}, {(128, 80)}]


async def test_a_stop_finishes_what_is_open(
    make_site: SiteMaker, clips: dict[str, Path], tmp_path: Path
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    async with keeping(tmp_path / "kept", site.url("plain"), before_s=1, after_s=60) as run:
        await run.until(lambda: len(run.events) == 1, BUSY_S)
    found = crossing.numbers_of(run.clip_of(run.events[0]))
    assert_runs_on(found)
    assert run.number_of(run.events[0]) in found
