"""Evidence on a real file system that is full: the run goes on, and the account says why."""

import errno
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.pipeline.test_evidence_outlet import job, outlet
from tests.pipeline.test_evidence_run import run
from tests.services import numbered
from tests.services.redis_servers import wait_until

FULL = os.strerror(errno.ENOSPC)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB of its own. Only root may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield disk
    finally:
        held = subprocess.run(["umount", str(disk)], capture_output=True, text=True, check=False)
        if held.returncode:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)
            pytest.fail(f"a file was left open: {held.stderr.strip()}")


def fill(disk: Path, left_bytes: int = 0) -> Path:
    """A file that takes all there is, but so much."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    if left_bytes:
        os.truncate(filler, filler.stat().st_size - left_bytes)
    return filler


def test_a_full_disk_costs_files_until_there_is_room_again(small_disk: Path) -> None:
    made = outlet(small_disk, capacity=1)
    filler = fill(small_disk)
    with ThreadPoolExecutor(1) as pool:
        ((_, loop),) = made.loops
        writing = pool.submit(loop)
        try:
            assert made.reserve("frame")
            assert made.submit(job(1))
            wait_until(lambda: made.report().waiting == 0, "the first file has failed")
            assert str(made.report().note).endswith(FULL)
            filler.unlink()
            assert made.reserve("frame")
            assert made.submit(job(2))
        finally:
            made.close()
        writing.result(30)
    report = made.report()
    assert (report.written, report.dropped, report.waiting) == ({"frame": 1}, {"failed": 1}, 0)
    assert [path.name for path in small_disk.glob("gate/*")] == [f"{2:032x}-frame.jpg"]


@pytest.mark.parametrize("left_bytes", [0, 8192])
async def test_a_run_goes_on_and_tells_its_events(
    tmp_path: Path, small_disk: Path, left_bytes: int
) -> None:
    """With a little room left, what fits is written; no part of a clip stays behind."""
    source = numbered.make(tmp_path / "source.mp4", b_frames=2)
    fill(small_disk, left_bytes)
    clip = {"before_s": 2, "after_s": 1.5}
    events, report = await run(small_disk, source, {"clip": clip})
    assert len(events) == 1
    assert sum(report.written.values()) + report.dropped["failed"] == 3
    assert report.dropped["failed"] >= 1
    assert str(report.note).endswith(FULL)
    left = [path.name for path in small_disk.glob("gate/*")]
    assert len(left) == sum(report.written.values())
    assert not [name for name in left if name.endswith("part")]
    assert sum(name.endswith("mp4") for name in left) == report.written.get("clip", 0)
