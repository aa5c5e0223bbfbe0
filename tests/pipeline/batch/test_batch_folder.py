"""The folder of results: who may have it, and how a part becomes a result."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.batch.folder import MANIFEST, Folder
from pipeline.batch.result import CannotWrite
from pipeline.core.errors import ConfigError


def part(folder: Folder, text: str) -> Path:
    path = folder.parts / "1"
    path.write_text(text)
    return path


def test_a_part_becomes_a_result_in_one_step_and_replaces_an_older_one(tmp_path: Path) -> None:
    with closing(Folder.open(tmp_path / "out", resume=False)) as folder:
        folder.settle("a/b.mp4", part(folder, "old"), failed=True)
        assert (tmp_path / "out/failed/a/b.mp4.jsonl").read_text() == "old"
        folder.settle("a/b.mp4", part(folder, "new"))
        assert (tmp_path / "out/messages/a/b.mp4.jsonl").read_text() == "new"
        assert not (tmp_path / "out/failed/a/b.mp4.jsonl").exists()
        assert not list(folder.parts.iterdir())
        assert folder.holds("a/b.mp4", 3)
        assert not folder.holds("a/b.mp4", 4)
        folder.forget("a/b.mp4")
        folder.forget("a/b.mp4")
        assert not folder.holds("a/b.mp4", 3)


@pytest.mark.parametrize("gone", ["failed", "."])
def test_folders_that_somebody_removed_are_no_fault_at_the_end(tmp_path: Path, gone: str) -> None:
    folder = Folder.open(tmp_path / "out", resume=False)
    shutil.rmtree(tmp_path / "out" / gone)
    folder.close()


def test_an_existing_batch_needs_resume_and_anything_else_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    Folder.open(out, resume=False).close()
    Folder.open(out, resume=False).close()  # killed before there was a manifest
    (out / MANIFEST).touch()
    with pytest.raises(ConfigError, match="holds a batch already: go on with it by --resume"):
        Folder.open(out, resume=False)
    Folder.open(out, resume=True).close()
    other = tmp_path / "photos"
    other.mkdir()
    (other / "me.jpg").touch()
    for resume in (False, True):
        with pytest.raises(ConfigError, match="is not empty and holds no batch"):
            Folder.open(other, resume=resume)
    assert [path.name for path in other.iterdir()] == ["me.jpg"]
    with pytest.raises(ConfigError, match="is no folder"):
        Folder.open(other / "me.jpg", resume=False)


def test_parts_of_a_killed_run_are_thrown_away(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path / "out", resume=False)
    part(folder, "half a line")
    folder._lock.close()  # as the kernel does
    with closing(Folder.open(tmp_path / "out", resume=True)) as folder:
        assert not list(folder.parts.iterdir())


def test_two_batches_cannot_have_one_folder(tmp_path: Path) -> None:
    with (
        closing(Folder.open(tmp_path, resume=False)),
        pytest.raises(ConfigError, match="another eyrie batch is working in there"),
    ):
        Folder.open(tmp_path, resume=True)
    Folder.open(tmp_path, resume=True).close()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="Not a directory"):
        Folder.open(tmp_path / "file" / "out", resume=False)
