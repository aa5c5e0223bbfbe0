"""The table of files: what survives, what is queued again, what is refused."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.batch.inputs import Input
from pipeline.batch.manifest import Changes, Manifest
from pipeline.batch.result import CannotWrite, Result
from pipeline.batch.settings import Identity
from pipeline.core.errors import ConfigError

FILES = (Input("a.mp4", 10, 1), Input("sub dir/b\n.mp4", 20, 2), Input("c.mp4", 30, 3))
IDENTITY = Identity({"model": "x", "fps": None, "lines": []}, "this CPU")
DONE = Result(size_bytes=10, mtime_ns=1, content="c", part_sha256="5", part_bytes=7, decoded=3,
              frames=3, messages=5, detections={"car": 2}, video_s=1.5, notes=("n",))  # fmt: skip


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Manifest]:
    with closing(Manifest(tmp_path / "manifest.sqlite")) as manifest:
        manifest.merge(FILES, (), retry_failed=False)
        yield manifest


def states(manifest: Manifest) -> dict[str, str]:
    return {row.path: row.state for row in manifest.rows()}


def test_what_is_written_comes_back_after_reopening(manifest: Manifest) -> None:
    manifest.start("a.mp4")
    manifest.finish("a.mp4", DONE)
    manifest.start("c.mp4")
    with closing(Manifest(manifest.path)) as again:
        rows = {row.path: row for row in again.rows()}
    assert list(rows) == sorted(file.path for file in FILES)
    assert rows["a.mp4"].result == DONE
    assert (rows["a.mp4"].state, rows["c.mp4"].state) == ("done", "running")


def test_a_name_that_is_no_text_is_kept(manifest: Manifest) -> None:
    name = os.fsdecode(b"latin\xe9.mp4")
    manifest.merge((Input(name, 1, 1),), (), retry_failed=False)
    manifest.finish(name, DONE)
    assert states(manifest)[name] == "done"


def test_resuming_queues_what_was_running_and_leaves_what_is_over(manifest: Manifest) -> None:
    manifest.finish("a.mp4", DONE)
    manifest.start("c.mp4")
    manifest.finish("sub dir/b\n.mp4", Result(error="damaged"))
    assert manifest.merge(FILES, (), retry_failed=False) == Changes((), (), ())
    assert states(manifest) == {"a.mp4": "done", "c.mp4": "queued", "sub dir/b\n.mp4": "failed"}
    manifest.merge(FILES, (), retry_failed=True)
    row = next(row for row in manifest.rows() if row.path == "sub dir/b\n.mp4")
    assert (row.state, row.reason, row.result) == ("queued", None, None)


def test_changed_new_lost_and_missing_files(manifest: Manifest) -> None:
    for file in FILES:
        manifest.finish(file.path, replace(DONE, content=""))
    now = (replace(FILES[0], mtime_ns=9), FILES[1], Input("new.mp4", 1, 1))
    changes = manifest.merge(now, (FILES[1].path,), retry_failed=False)
    assert (changes.new, changes.changed, changes.lost) == (
        ("new.mp4",), ("a.mp4",), (FILES[1].path,)
    )  # fmt: skip
    assert states(manifest) == {
        "a.mp4": "queued", "c.mp4": "done", "new.mp4": "queued", FILES[1].path: "queued"
    }  # fmt: skip
    assert next(row for row in manifest.rows() if row.path == "a.mp4").mtime_ns == 9


def test_a_file_is_known_by_what_was_read_not_by_what_was_planned(manifest: Manifest) -> None:
    manifest.finish("a.mp4", replace(DONE, size_bytes=11, mtime_ns=12))
    seen = (Input("a.mp4", 11, 12),)
    assert manifest.merge(seen, (), retry_failed=False).changed == ()


def test_deaths_are_counted_over_restarts(manifest: Manifest) -> None:
    assert manifest.died("a.mp4") == 1
    manifest.merge(FILES, (), retry_failed=False)
    assert manifest.died("a.mp4") == 2
    assert manifest.died("c.mp4") == 1


def test_other_settings_or_another_root_are_refused_by_name(manifest: Manifest) -> None:
    assert manifest.bind(Path("/videos"), IDENTITY) is False
    assert manifest.bind(Path("/videos"), IDENTITY) is False
    assert manifest.bind(Path("/videos"), replace(IDENTITY, machine="another")) is True
    other = Identity({**IDENTITY.deciding, "fps": 5}, IDENTITY.machine)
    with pytest.raises(ConfigError, match=r"--resume: .* was made with fps: None, not 5"):
        manifest.bind(Path("/videos"), other)
    with pytest.raises(ConfigError, match="batch over '/videos', not '/elsewhere'"):
        manifest.bind(Path("/elsewhere"), IDENTITY)


def test_a_state_outside_the_four_cannot_be_written(manifest: Manifest) -> None:
    with closing(sqlite3.connect(manifest.path)) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute("UPDATE files SET state = 'perhaps'")


def test_what_is_no_manifest_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    path.write_text("not a database at all, but long enough to be looked at as one" * 20)
    with pytest.raises(CannotWrite, match=r"manifest\.sqlite: file is not a database"):
        Manifest(path)
