"""`eyrie model evaluate`: the table, the file, and errors of one line."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("pycocotools", reason="needs the train extra")

from pipeline.cli.app import app

NAMES = ("person", "car", "motorcycle", "bus", "truck")


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["model", "evaluate", *arguments])
    return result.exit_code, result.stdout, result.stderr


def grey_pictures(folder: Path, count: int) -> Path:
    rows = []
    for n in range(count):
        cv2.imwrite(str(folder / f"{n}.png"), np.full((60, 80, 3), 90, np.uint8))
        boxes = [[0, 1, 1, 30, 50], [1, 90, 1, 95, 5]] if n == 0 else [[0, 5, 5, 20, 40]]
        row = {"image": f"{n}.png", "split": "val", "labelled": [0, 1], "boxes": boxes}
        rows.append(json.dumps(row))
    (folder / "index.jsonl").write_text("\n".join(rows))
    return folder


def test_figures_are_printed_and_written(tmp_path: Path) -> None:
    folder, file = grey_pictures(tmp_path, 4), tmp_path / "figures.json"
    code, out, complaints = run(
        "yolo_nas_n", "--data", str(folder), "--limit", "2", "--json", str(file), "-q"
    )
    assert code == 0
    for word in (*NAMES, "mean", "AP50", "small", "boxes"):
        assert word in out
    assert "mean of 1 class " in out
    assert "not in the model" not in complaints
    assert "1 boxes of 5 were left out: " in complaints
    assert "index.jsonl, line 1: box [90, 1, 95, 5] is outside the picture of 80x60" in complaints
    said = json.loads(file.read_text())
    assert said["pictures"] == 2
    assert said["classes"]["person"]["boxes"] == 2
    assert said["classes"]["person"]["ap50"] < 0.1  # nobody is in a grey picture
    assert said["classes"]["bus"]["ap50"] is None
    assert said["rule"]["conf"] == 0.01
    assert len(said["left_out"]) == 1


def test_classes_that_the_model_lacks_are_told(tmp_path: Path) -> None:
    folder, file = grey_pictures(tmp_path, 3), tmp_path / "figures.json"
    (folder / "classes.txt").write_text("lorry\nCar\n")
    code, out, complaints = run("yolo_nas_n", "--data", str(folder), "--json", str(file), "-q")
    assert code == 0
    assert "eyrie: not in the model, so not judged: lorry (3 boxes)\n" in complaints
    assert "mean of 0 classes" in out
    assert json.loads(file.read_text())["not_in_the_model"] == {"lorry": 3}


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    code, _, complaints = run("yolo_nas_n", "--data", str(tmp_path / "nowhere"))
    assert code == 2
    assert complaints.strip() == f"eyrie: {tmp_path}/nowhere: no such folder or file"


def test_a_missing_model_is_one_line(tmp_path: Path) -> None:
    code, _, complaints = run("yolo_nas_q", "--data", str(grey_pictures(tmp_path, 1)))
    assert code == 3
    assert len(complaints.strip().splitlines()) == 1
    assert "yolo_nas_q" in complaints


def test_other_classes_are_one_line(tmp_path: Path) -> None:
    folder = grey_pictures(tmp_path, 1)
    (folder / "classes.txt").write_text("cat\ndog\n")
    code, _, complaints = run("yolo_nas_n", "--data", str(folder))
    assert code == 2
    assert "has 2 classes (cat, dog), wanted are 5 classes (person, car" in complaints
