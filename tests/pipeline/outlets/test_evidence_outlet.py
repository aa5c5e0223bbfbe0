"""The writer of evidence: bounded, counted, whole files only."""

import threading
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import SinkUnavailable
from pipeline.outlets import evidence as evidence_outlet
from pipeline.outlets.evidence import EvidenceOutlet
from stages.evidence.base import Missing, SnapshotJob
from stages.evidence.keep import Retention

PICTURE = np.full((48, 64, 3), 90, np.uint8)


def job(number: int, folder: str = "gate") -> SnapshotJob:
    return SnapshotJob("frame", f"{folder}/{number:032x}-frame.jpg", PICTURE, 85)


def reserve(made: EvidenceOutlet, number: int, folder: str = "gate") -> Missing | None:
    """A place for the job of this number."""
    return made.reserve(job(number, folder).path, PICTURE.nbytes)


def outlet(folder: Path, capacity: int = 4, most_bytes: int | None = None) -> EvidenceOutlet:
    made = EvidenceOutlet(folder, Retention(folder, most_bytes, None), capacity)
    made.open()
    return made


def finish(made: EvidenceOutlet) -> None:
    """Run its loop to the end, in a thread of its own as the runner does."""
    made.close()
    ((_, loop),) = made.loops
    thread = threading.Thread(target=loop)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_what_has_a_place_is_written(tmp_path: Path) -> None:
    made = outlet(tmp_path)
    assert all(reserve(made, n) is None and made.submit(job(n)) for n in range(4))
    finish(made)
    report = made.report()
    files = sorted(tmp_path.glob("gate/*"))
    assert [f.name for f in files] == [f"{n:032x}-frame.jpg" for n in range(4)]
    assert (report.written, report.dropped, report.waiting) == ({"frame": 4}, {}, 0)
    assert report.bytes == sum(f.stat().st_size for f in files)


def test_a_full_writer_says_so_and_counts(tmp_path: Path) -> None:
    made = outlet(tmp_path, capacity=2)
    assert [reserve(made, n) for n in range(4)] == [None, None, "writer_busy", "writer_busy"]
    assert made.report().dropped == {"writer_busy": 2}
    assert made.submit(job(0))
    assert made.submit(job(1))
    assert reserve(made, 4) == "writer_busy"
    finish(made)
    assert made.report().written == {"frame": 2}
    assert reserve(made, 5) is None


def test_a_place_that_is_given_back_is_free(tmp_path: Path) -> None:
    made = outlet(tmp_path, capacity=1)
    assert reserve(made, 1) is None
    made.release(job(1).path, "no_key_frame")
    assert reserve(made, 2) is None
    assert made.report().dropped == {"no_key_frame": 1}


def test_bytes_in_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_outlet, "MOST_WAITING_BYTES", 2 * PICTURE.nbytes)
    made = outlet(tmp_path)
    assert [reserve(made, n) for n in range(3)] == [None] * 3
    assert [made.submit(job(n)) for n in range(3)] == [True, True, False]
    assert made.report().dropped == {"memory": 1}
    assert reserve(made, 3) == "writer_busy"
    finish(made)
    assert made.report().written == {"frame": 2}


def test_a_file_that_cannot_be_written_is_told_and_the_next_one_is_written(tmp_path: Path) -> None:
    (tmp_path / "gate").write_text("a file where a folder belongs")
    made = outlet(tmp_path)
    for number, folder in ((1, "gate"), (2, "yard")):
        assert reserve(made, number, folder) is None
        assert made.submit(job(number, folder))
    finish(made)
    report = made.report()
    assert (report.written, report.dropped) == ({"frame": 1}, {"failed": 1})
    assert report.note is not None
    assert f"{1:032x}" in report.note
    assert "\n" not in report.note


def test_what_waits_at_an_abort_is_counted(tmp_path: Path) -> None:
    made = outlet(tmp_path)
    assert [reserve(made, n) for n in range(3)] == [None] * 3
    assert made.submit(job(0))
    made.abort()
    assert not made.submit(job(1))
    made.release(job(2).path, "no_picture")
    finish(made)
    report = made.report()
    assert report.dropped == {"stopped": 2, "no_picture": 1}
    assert report.waiting == 0
    assert list(tmp_path.glob("gate/*")) == []


def test_old_files_make_room(tmp_path: Path) -> None:
    made = outlet(tmp_path, most_bytes=1)
    assert all(reserve(made, n) is None and made.submit(job(n)) for n in range(3))
    finish(made)
    assert [f.name for f in tmp_path.glob("gate/*")] == [f"{2:032x}-frame.jpg"]
    assert made.report().deleted == 2


def test_a_folder_that_cannot_be_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = EvidenceOutlet(tmp_path / "file" / "kept", Retention(tmp_path, None, None), 4)
    with pytest.raises(SinkUnavailable, match=r"evidence\.folder .*file/kept: Not a directory"):
        made.open()
