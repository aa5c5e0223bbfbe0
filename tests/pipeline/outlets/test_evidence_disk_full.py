"""Evidence on a real file system that is full: the run goes on, and events and account say why."""

import errno
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.outlets import evidence as evidence_outlet
from pipeline.outlets.evidence import EvidenceOutlet
from tests.pipeline.outlets.test_evidence_outlet import job, outlet, reserve
from tests.pipeline.run.test_evidence_run import run
from tests.services import numbered
from tests.services.redis_servers import wait_until
from tests.services.small_disk import mounted

FULL = os.strerror(errno.ENOSPC)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", 256 * 1024) as disk:
        yield disk


def fill(disk: Path, left_bytes: int = 0) -> Path:
    """A file that takes all there is, but so much."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    if left_bytes:
        os.truncate(filler, filler.stat().st_size - left_bytes)
    return filler


@pytest.fixture
def writer(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceOutlet]:
    """With its loop, which looks at the disk often."""
    monkeypatch.setattr(evidence_outlet, "LOOK_EVERY_S", 0.02)
    made = outlet(small_disk)
    with ThreadPoolExecutor(1) as pool:
        ((_, loop),) = made.loops
        writing = pool.submit(loop)
        try:
            yield made
        finally:
            made.close()
        writing.result(30)


def test_no_file_is_promised_until_there_is_room_again(
    small_disk: Path, writer: EvidenceOutlet
) -> None:
    filler = fill(small_disk)
    wait_until(lambda: reserve(writer, 1) == "disk_full", "it is seen that the disk is full")
    assert str(writer.report().note).endswith(FULL)
    filler.unlink()
    wait_until(lambda: reserve(writer, 2) is None, "it is seen that there is room")
    assert writer.submit(job(2))
    wait_until(lambda: writer.report().written == {"frame": 1}, "the file is there")
    assert set(writer.report().dropped) == {"disk_full"}
    assert [path.name for path in small_disk.glob("gate/*")] == [f"{2:032x}-frame.jpg"]


def test_a_disk_that_fills_up_costs_what_was_promised_and_is_known_to_be_full(
    small_disk: Path,
) -> None:
    made = outlet(small_disk)
    assert [reserve(made, number) for number in (1, 2)] == [None, None]
    fill(small_disk)
    assert made.submit(job(1))
    assert reserve(made, 3) is None
    with ThreadPoolExecutor(1) as pool:
        ((_, loop),) = made.loops
        writing = pool.submit(loop)
        wait_until(lambda: made.report().dropped == {"disk_full": 1}, "the first file has failed")
        assert reserve(made, 4) == "disk_full"
        made.close()
        writing.result(30)


def test_room_is_promised_once(small_disk: Path) -> None:
    """Two files that fit alone do not fit together; one that is not written gives its room back."""
    made = outlet(small_disk)
    half_bytes = shutil.disk_usage(small_disk).free * 2 // 3
    assert made.reserve("gate/a", half_bytes) is None
    assert made.reserve("gate/b", half_bytes) == "disk_full"
    made.release("gate/a", "no_picture")
    assert made.reserve("gate/b", half_bytes) is None


@pytest.mark.parametrize(("left_bytes", "fits"), [(0, []), (16384, ["clip", "crop"])])
async def test_a_run_goes_on_and_its_events_say_which_files_will_never_be(
    tmp_path: Path, small_disk: Path, left_bytes: int, fits: list[str]
) -> None:
    """With a little room left, what fits is written; no part of a clip stays behind."""
    source = numbered.make(tmp_path / "source.mp4", b_frames=2)
    fill(small_disk, left_bytes)
    clip = {"before_s": 2, "after_s": 1.5}
    events, report = await run(small_disk, source, {"clip": clip})
    (event,) = events
    kept = [str(e.path) for e in event.evidence if e.path is not None]
    lacking = [e.missing for e in event.evidence if e.path is None]
    assert lacking == ["disk_full"] * (3 - len(fits))
    assert sorted(kept) == sorted(f"gate/{path.name}" for path in small_disk.glob("gate/*"))
    assert (len(kept), report.written) == (len(fits), dict.fromkeys(fits, 1))
    assert report.dropped == {"disk_full": len(lacking)}
    assert str(report.note).endswith(FULL)
