"""Cameras and networks that fail, by a real server: each comes back, no other stream notices."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import SiteMaker
from tests.integration.rtsp_run import (
    BUSY_S,
    READ_S,
    RECOVER_S,
    assert_whole,
    camera,
    recovered,
    running,
    unharmed,
)
from tests.services.cable import Cable
from tests.services.cameras import CameraSite, make_certificate
from tests.services.relay import Mode, Relay
from tests.services.servers import ServiceMissing

TRICKY = "p@:/?#% ü漢'\"\\"
"""A password with everything that an address cannot hold."""


async def test_killed_and_restarted(
    good: CameraSite, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    bad = camera("bad", site.url("plain"))
    async with running(camera("good", good.url("plain")), bad) as run:
        await run.published("bad", 5)
        site.kill()
        await run.down("bad")
        await asyncio.to_thread(site.start)
        await run.back("bad")
        await run.published("good", 5)
    recovered(run)
    unharmed(run)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_frozen_and_thawed(
    transport: str, good: CameraSite, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    bad = camera("bad", site.url("plain"), transport=transport)
    async with running(camera("good", good.url("plain")), bad) as run:
        await run.published("bad", 5)
        site.pause()
        await run.down("bad", within_s=READ_S + BUSY_S)
        assert run.statuses("bad")[-1].reason.endswith(f"no data for {READ_S:g} s")
        site.resume()
        await run.back("bad", within_s=RECOVER_S + READ_S)  # a try may be waiting just then
    recovered(run)
    unharmed(run)


@pytest.mark.parametrize("mode", ["hold", "trickle"])
async def test_a_network_that_hardly_moves(
    mode: Mode, good: CameraSite, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    with Relay(site.port) as relay:
        bad = camera("bad", f"rtsp://127.0.0.1:{relay.port}/plain")
        async with running(camera("good", good.url("plain")), bad) as run:
            await run.published("bad", 5)
            relay.mode = mode
            await run.down("bad", within_s=READ_S + BUSY_S)
            relay.mode = "pass"
            relay.cut()
            await run.back("bad", within_s=RECOVER_S + READ_S)
    recovered(run)
    unharmed(run)


@pytest.fixture
def cable() -> Iterator[Cable]:
    try:
        cable = Cable("eyrie-test")
    except ServiceMissing as missing:
        pytest.skip(str(missing))
    with cable:
        yield cable


async def test_half_open(
    cable: Cable, good: CameraSite, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    served = {"plain": clips["plain"]}
    site = await asyncio.to_thread(make_site, served, netns=cable.name, host=cable.far_end)
    bad = camera("bad", site.url("plain"))
    async with running(camera("good", good.url("plain")), bad) as run:
        await run.published("bad", 5)
        cable.cut()
        await run.down("bad", within_s=READ_S + BUSY_S)
        cable.mend()
        await run.back("bad", within_s=RECOVER_S + 5)  # a try of open_timeout_s may be waiting
    recovered(run)
    unharmed(run)


@pytest.mark.parametrize("method", ["basic", "digest"])
async def test_wrong_and_right_credentials(
    method: str,
    make_site: SiteMaker,
    clips: dict[str, Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    lock = ["--user", "me", "--password", TRICKY, "--auth", method]
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]}, lock)
    right = camera("right", site.url("plain"), user="me", password=TRICKY)
    wrong = camera("wrong", site.url("plain"), user="me", password="hunter2/@", denied_pause_s=1000)
    none = camera("none", site.url("plain"), denied_pause_s=1000)
    with caplog.at_level(logging.DEBUG):
        async with running(right, wrong, none) as run:
            await run.published("right", 5)
            await run.down("wrong")
            await run.down("none")
    assert_whole(run.frames("right"))
    (status,) = run.statuses("wrong")
    assert (status.cause, status.attempt) == ("auth", 1)
    assert status.reason.endswith("the camera refused the user name or password")
    assert run.statuses("none")[0].reason.endswith("wants a user name and a password")
    said = (
        caplog.text
        + repr(run.pipeline.config)
        + str(run.sink.messages)
        + str(run.pipeline.report())
    )
    assert "hunter2" not in said
    assert TRICKY not in said
    assert "p%40" not in said


async def test_a_password_that_becomes_right_again(
    make_site: SiteMaker, clips: dict[str, Path], tmp_path: Path
) -> None:
    served = {"plain": clips["plain"]}
    site = await asyncio.to_thread(make_site, served, ["--user", "me", "--password", "new"])
    keys = {"user": "me", "password": "old", "denied_pause_s": 1}
    async with running(camera("bad", site.url("plain"), **keys)) as run:
        await run.down("bad")
        assert run.statuses("bad")[0].cause == "auth"
        site.kill()
        site.command[site.command.index("new")] = "old"
        await asyncio.to_thread(site.start)
        await run.published("bad", 5, RECOVER_S)
    assert_whole(run.frames("bad"))


async def test_encrypted(make_site: SiteMaker, clips: dict[str, Path], tmp_path: Path) -> None:
    certificate, key = await asyncio.to_thread(make_certificate, tmp_path)
    options = ["--tls", str(certificate), str(key)]
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]}, options)
    url = site.url("plain", "rtsps")
    known = camera("known", url, tls={"ca_file": str(certificate)})
    unknown = camera("unknown", url)
    unchecked = camera("unchecked", url, tls={"verify": False})
    async with running(known, unknown, unchecked) as run:
        await run.published("known", 5)
        await run.published("unchecked", 5)
        await run.down("unknown")
    assert (
        "is its certificate valid, and known by tls.ca_file?" in run.statuses("unknown")[0].reason
    )
    assert run.frames("unknown") == []
    assert_whole(run.frames("known"))
