"""Cameras that are decoded in worker processes: their failures are what they are without."""

import asyncio
import os
import signal
from pathlib import Path

from tests.integration.conftest import SiteMaker
from tests.integration.rtsp_run import BUSY_S, Run, camera, recovered, running, unharmed
from tests.services.cameras import CameraSite


def worker_of(run: Run, stream_id: str) -> int:
    """The process that decodes the stream."""
    (pid,) = (worker.pid for worker in run.pipeline.workers if stream_id in worker.streams)
    assert pid is not None
    return pid


async def test_a_worker_that_is_killed_costs_its_cameras_a_reconnect(
    good: CameraSite, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    bad = camera("bad", site.url("plain"))
    async with running(camera("good", good.url("plain")), bad, workers=2) as run:
        await run.published("bad", 5)
        await run.published("good", 5)
        assert worker_of(run, "bad") != worker_of(run, "good")
        os.kill(worker_of(run, "bad"), signal.SIGKILL)
        await run.down("bad")
        assert "was killed (SIGKILL)" in run.statuses("bad")[-1].reason
        await run.back("bad")
        await run.published("good", 5)
    recovered(run)
    unharmed(run)


async def test_a_camera_that_fails_is_told_as_ever(
    good: CameraSite, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    site = await asyncio.to_thread(
        make_site, {"plain": clips["plain"]}, ["--user", "u", "--password", "p"]
    )
    bad = camera("bad", site.url("plain"), user="u", password="p")
    wrong = camera("wrong", site.url("plain"), user="u", password="q")
    async with running(camera("good", good.url("plain")), bad, wrong, workers=1) as run:
        await run.down("wrong")
        assert run.statuses("wrong")[-1].cause == "auth"
        await run.published("bad", 5)
        site.kill()
        await run.down("bad", within_s=BUSY_S)
        await asyncio.to_thread(site.start)
        await run.back("bad")
    assert run.report("good").connections.failed == 0
    recovered(run)
