"""`eyrie batch` as people run it: what it says, how it exits."""

import json
from pathlib import Path

from tests.pipeline.cli.test_cli import complaint, eyrie
from tests.stages.sources.clips import encode


def test_the_bundled_model_over_two_files_and_a_broken_one(tmp_path: Path) -> None:
    videos, out = tmp_path / "my videos", tmp_path / "out"
    (videos / "sub").mkdir(parents=True)
    encode(videos / "a.mp4", 6)
    encode(videos / "sub/a.mp4", 4)
    (videos / "zero.mp4").touch()
    result = eyrie("batch", videos, "--out", out, "--workers", 1)
    assert result.returncode == 1, result.stderr
    assert complaint(result) == f"eyrie: zero.mp4: {videos}/zero.mp4 is empty (0 bytes)"
    assert "files done" in result.stdout
    made = sorted(str(p.relative_to(out)) for p in out.rglob("*.jsonl"))
    assert made == [
        "failed/zero.mp4.jsonl", "messages/a.mp4.jsonl", "messages/sub/a.mp4.jsonl"
    ]  # fmt: skip
    report = json.loads((out / "report.json").read_text())
    assert (report["frames"], report["done"], report["failed"]) == (10, 2, 1)

    again = eyrie("batch", videos, "--out", out)
    assert again.returncode == 2
    assert "holds a batch already: go on with it by --resume" in complaint(again)


def test_wrong_usage_is_one_line_and_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    encode(tmp_path / "a.mp4", 3)
    for source, more, said in (
        ("empty", (), "no videos in there"),
        ("missing", (), "no such file or folder"),
        ("a.mp4", ("--set", "sinks=[]"), "sinks: not a key of a batch"),
        ("a.mp4", ("--config", "missing.yaml"), "cannot read missing.yaml"),
        ("a.mp4", ("--classes", " ,"), "--classes: ' ,': names by commas, none of them empty"),
    ):
        result = eyrie("batch", source, "--out", "out", *more, cwd=tmp_path)
        assert result.returncode == 2, result.stderr
        assert said in complaint(result)
        assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", 3)
    result = eyrie("batch", "a.mp4", "--out", "out", "--model", "nothing", "-q", cwd=tmp_path)
    assert result.returncode == 3
    assert "model 'nothing': no such file" in complaint(result)
