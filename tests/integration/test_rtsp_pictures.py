"""Pictures that change, go missing or are garbage, by a real server: none is made up."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from tests.integration.conftest import KEYLESS_FRAMES, SiteMaker
from tests.integration.rtsp_run import (
    BUSY_S,
    READ_S,
    RECOVER_S,
    assert_whole,
    camera,
    numbers,
    recovered,
    running,
    unharmed,
)
from tests.services import numbered
from tests.services.cameras import CameraSite
from tests.services.relay import Relay


async def test_another_picture_size_is_another_epoch_and_loses_nothing(
    good: CameraSite, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    bad = camera("bad", site.url("plain"))
    async with running(camera("good", good.url("plain")), bad) as run:
        await run.published("bad", 5)
        await asyncio.to_thread(site.order, f"switch plain {clips['small']}")
        await run.published("bad", 20, RECOVER_S)
    frames = recovered(run)
    assert run.report("bad").connections.failed == 0
    assert {(f.epoch, f.width, f.height) for f in frames} == {(0, 160, 96), (1, 128, 80)}
    assert [f.seq for f in frames] == list(range(len(frames)))
    unharmed(run)


async def test_another_codec(
    good: CameraSite, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    bad = camera("bad", site.url("plain"))
    async with running(camera("good", good.url("plain")), bad) as run:
        await run.published("bad", 5)
        await asyncio.to_thread(site.order, f"replace plain {clips['hevc']}")
        await run.down("bad", within_s=READ_S + BUSY_S)
        await run.back("bad")
    recovered(run)
    unharmed(run)


async def test_pictures_in_another_order_than_sent(
    make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    site = await asyncio.to_thread(make_site, {"reordered": clips["reordered"]})
    async with running(camera("bad", site.url("reordered"))) as run:
        await run.published("bad", 30)
    frames = run.frames("bad")
    assert_whole(frames)
    assert [f.pts_ns for f in frames] == sorted({f.pts_ns for f in frames})


async def test_longer_without_a_key_frame_than_without_data(
    make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    """One viewer makes the camera play; the second comes soon after the only key frame."""
    site = await asyncio.to_thread(make_site, {"keyless": clips["keyless"]})
    first = camera("first", site.url("keyless"))
    async with running(first) as run:
        await run.published("first", 10)
        async with running(camera("second", site.url("keyless"))) as other:
            await other.published("second", 5, KEYLESS_FRAMES / numbered.FPS + BUSY_S)
        assert other.report("second").connections.failed == 0
        assert_whole(other.frames("second"), KEYLESS_FRAMES)
        assert numbers(other.frames("second"))[0] == 0  # the key frame: no grey before it


async def test_garbage_is_never_published_and_never_harms(
    good: CameraSite, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    site = await asyncio.to_thread(make_site, {"plain": clips["plain"]})
    with Relay(site.port) as relay:
        bad = camera("bad", f"rtsp://127.0.0.1:{relay.port}/plain")
        async with running(camera("good", good.url("plain")), bad) as run:
            await run.published("bad", 5)
            relay.mode = "garble"
            await run.published("good", 50)
            relay.mode = "pass"
            relay.cut()
            await run.back("bad", run.epoch("bad"), RECOVER_S + READ_S)
    assert run.frames("bad")[-1].epoch > 0
    unharmed(run)


@pytest.mark.parametrize("codec", ["plain", "reordered", "hevc"])
async def test_lost_packets_leave_holes_and_no_made_up_pictures(
    codec: str, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    """FFmpeg would repeat pictures, or decode on top of the wrong ones, and mark none of them."""
    site = await asyncio.to_thread(make_site, {"cam": clips[codec]})
    with Relay(site.port, seed=3) as relay:
        async with running(camera("bad", f"rtsp://127.0.0.1:{relay.port}/cam")) as run:
            await run.published("bad", 5)
            relay.mode = "lossy"
            await run.published("bad", 60, 60)
    found = numbers(run.frames("bad"))
    assert None not in found
    steps = [(b - a) % 100 for a, b in pairwise(n for n in found if n is not None)]
    assert set(steps) > {1}
    assert all(0 < step < 80 for step in steps)


async def test_pictures_that_grow_too_large_are_refused(
    good: CameraSite, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    site = await asyncio.to_thread(make_site, {"cam": clips["small"]})
    bad = camera("bad", site.url("cam"), max_megapixels=0.012)  # 128x80, and not 160x96
    async with running(camera("good", good.url("plain")), bad) as run:
        await run.published("bad", 5)
        await asyncio.to_thread(site.order, f"switch cam {clips['plain']}")
        await run.down("bad", times=2)
        await asyncio.to_thread(site.order, f"switch cam {clips['small']}")
        await run.back("bad")
    first, second, *_ = (s for s in run.statuses("bad") if s.status == "down")
    assert (first.cause, second.cause) == ("undecodable", "undecodable")
    assert "data comes, but no picture for 2 s" in first.reason
    assert "160x96 pixels are more than the stream may have" in second.reason
    assert {(f.width, f.height) for f in run.frames("bad")} == {(128, 80)}
    unharmed(run)
