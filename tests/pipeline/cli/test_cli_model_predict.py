"""`eyrie model predict`: what is written, what is told, and exit codes."""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from detectors.yolo_nas.predict.inputs import read_file
from detectors.yolo_nas.predict.video import open_file
from examples import predict as example
from pipeline.cli.app import app
from tests.stages.sources.clips import encode

MODEL = "yolo_nas_n_int8"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["model", "predict", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


def noise(path: Path, seed: int, width: int = 80) -> Path:
    image = np.random.default_rng(seed).integers(0, 255, (60, width, 3), np.uint8)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    for name, seed in (("b.png", 1), ("a.png", 2)):
        noise(made / name, seed)
    return made


def test_pictures_and_videos_are_written(folder: Path, tmp_path: Path) -> None:
    clip, out = encode(tmp_path / "clip.mp4", 5), tmp_path / "out"
    code, told, complaints = run(MODEL, clip, folder, "--out", out, "--conf", 0.001)
    assert (code, complaints) == (0, "")
    assert told.startswith("2 pictures and 1 video of 5 frames: ")
    assert told.count("\n") == 1
    found = lines(out)
    assert [Path(one["image"]).name for one in found] == [
        "a.png", "b.png", *(f"clip.mp4#{n}" for n in range(5)),
    ]  # fmt: skip
    assert {(one["width"], one["height"]) for one in found[:2]} == {(80, 60)}
    assert found[-1]["frame"] == 4
    boxes = [box for one in found for box in one["boxes"]]
    assert boxes
    assert all(len(box["xyxy"]) == 4 and 0 <= box["score"] <= 1 for box in boxes)
    assert read_file(out / "a.jpg").shape == (60, 80, 3)
    assert open_file(out / "clip.mp4").n_frames == 5


def test_classes_are_kept_and_pictures_left_unwritten(folder: Path, tmp_path: Path) -> None:
    code, told, _ = run(
        MODEL, folder, "--out", tmp_path / "out", "--conf", 0, "--classes", "car", "--quiet",
        "--no-save-images",
    )  # fmt: skip
    assert (code, told) == (0, "")
    found = lines(tmp_path / "out")
    assert {box["class"] for one in found for box in one["boxes"]} == {"car"}
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["predictions.jsonl"]


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(folder: Path, tmp_path: Path) -> None:
    bad, cut = folder / "bad.jpg", tmp_path / "cut.mp4"
    bad.write_bytes(b"no picture")
    cut.write_bytes(b"no video")
    code, told, complaints = run(MODEL, folder, bad, cut, "--out", tmp_path / "out")
    assert code == 1
    assert "2 pictures: " in told
    assert "3 could not be read" in told
    assert complaints.count("eyrie: ") == 3
    assert "cut.mp4" in complaints
    assert len(lines(tmp_path / "out")) == 2


def test_a_quoted_glob_stands_for_its_files(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").write_text("not meant")
    code, told, _ = run(MODEL, folder / "*.png", "--out", tmp_path / "out")
    assert (code, told.partition(":")[0]) == (0, "2 pictures")
    code, told, _ = run(MODEL, folder / "a*", "--out", tmp_path / "out")
    assert (code, told.partition(":")[0]) == (0, "1 picture")
    code, _, complaints = run(MODEL, folder / "*.webp", "--out", tmp_path / "out")
    assert (code, complaints.count("no such file")) == (2, 1)


def test_class_agnostic_leaves_one_box_where_several_classes_are_seen(
    folder: Path, tmp_path: Path
) -> None:
    counts = []
    for given in ([], ["--class-agnostic"]):
        code, _, _ = run(
            MODEL, folder, "--out", tmp_path / "out", "--conf", 0, "--iou", 0, *given,
            "--no-save-images",
        )  # fmt: skip
        assert code == 0
        counts.append(sum(len(line["boxes"]) for line in lines(tmp_path / "out")))
    assert counts[1] < counts[0]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["nowhere.jpg"], 2, "nowhere.jpg: no such file"),
        (["{in}", "--classes", "dog"], 2, "no class dog"),
        (["{in}", "--out", "{in}"], 2, "it would replace"),
        (["{in}", "--conf", "2"], 2, "--conf"),
        (["{in}", "--sha256", "0" * 64], 3, "SHA-256"),
    ],
)
def test_wrong_usage_is_one_line(
    folder: Path, tmp_path: Path, arguments: list[str], code: int, why: str
) -> None:
    given = [word.replace("{in}", str(folder)) for word in arguments]
    if "--out" not in given:
        given += ["--out", str(tmp_path / "out")]
    found, _, complaints = run(MODEL, *given)
    assert found == code
    assert why in complaints
    assert not (tmp_path / "out").exists() or lines(tmp_path / "out") == []


def test_the_example_prints_and_draws(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clip = encode(tmp_path / "clip.mp4", 3)
    for source, written in (
        (folder, "0001.jpg"),
        (folder / "a.png", "0000.jpg"),
        (clip, "video.mp4"),
    ):
        out = tmp_path / f"of_{source.name}"
        monkeypatch.setattr(sys, "argv", ["predict", str(source), "--out", str(out)])
        example.main()
        assert (out / written).is_file()
    assert "clip.mp4#2 nothing" in capsys.readouterr().out
