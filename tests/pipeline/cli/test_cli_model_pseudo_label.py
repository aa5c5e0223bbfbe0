"""`eyrie model pseudo-label`: from a video to a training set with the bundled model."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from detectors.training.data import read_dataset
from pipeline.cli.app import app
from pipeline.cli.model.pseudo_label import seconds
from pipeline.core.arrays import F32
from pipeline.core.boxes import iou_matrix
from pipeline.core.errors import ConfigError
from stages.sources.street.encode import write_video
from stages.sources.street.scene import StreetScene


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["model", "pseudo-label", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a street in daylight."""
    path = tmp_path_factory.mktemp("street") / "street.mp4"
    write_video(StreetScene(3, 640, 360, fps=5, frames=20, light="day", density=2.0), path)
    return path


def test_a_street_becomes_a_training_set(street: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    code, said, complaints = run(
        "yolo_nas_n", street, "--out", out, "--every", "1s", "--accept", "0.5", "--duplicate", "0"
    )
    assert (code, complaints) == (0, "")
    account = json.loads((out / "policy.json").read_text())["account"]
    assert account["seen"] == 4
    assert f"4 pictures seen = {account['written']} written" in said
    assert f"next: eyrie model train --data {out} --data LABELLED --from yolo_nas_n" in said
    assert "has a val split: this set has none" in said
    data = read_dataset(out, "train")
    assert not data.faults
    assert len(data.pictures) == account["written"] > 0
    assert sum(account["boxes"].values()) == data.boxes_read > 0
    assert right_share(street, out) >= 0.7


def right_share(street: Path, out: Path) -> float:
    """The share of boxes that lie on something that was drawn there."""
    truth = json.loads(street.with_suffix(".truth.json").read_text())
    right = total = 0
    for line in (out / "index.jsonl").read_text().splitlines():
        row = json.loads(line)
        drawn = truth["frames"][round(row["second"] * 5)]
        scale = row["width"] / 640
        there = boxes([thing[2:6] for thing in drawn["objects"]]) * np.float32(scale)
        mine = boxes([box[1:] for box in row["boxes"]])
        total += len(mine)
        right += int((iou_matrix(mine, there).max(1, initial=0) > 0.4).sum())
    return right / total


def boxes(values: list[list[float]]) -> F32:
    return np.array(values, np.float32).reshape(-1, 4)


def test_only_the_wanted_classes_are_taught(street: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    code, said, _ = run(
        "yolo_nas_n", street, "--out", out, "--classes", "car", "--max-pictures", "1", "--jpeg",
        "--longest-side", "320", "--accept", "0.5", "--flip-agreement",
    )  # fmt: skip
    assert code == 0
    assert "person" not in said
    (row,) = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    assert {box[0] for box in row["boxes"]} == {1}
    assert set(row["labelled"]) <= {1}
    assert (row["width"], row["image"][-4:]) == (320, ".jpg")
    again, _, complaint = run("yolo_nas_n", street, "--out", out)
    assert again == 2
    assert complaint.strip() == (
        f"eyrie: --out: {out} holds a training set already; name another folder"
    )


def test_files_that_cannot_be_read_are_named(street: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    code, said, complaints = run(
        "yolo_nas_n", broken, street, "--out", tmp_path / "set", "--max-pictures", "1"
    )
    assert code == 1
    assert complaints.startswith(f"eyrie: {broken}: cannot be read: ")
    assert len(complaints.splitlines()) == 1
    assert "1 written" in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--every", "never"), "--every: 'never' is no time above 0, such as 500ms, 1s or 2min"),
        (("--accept", "0.1"), "--discard: needs 0 < discard <= accept <= 1, got discard 0.2 and"),
        (("--classes", "fox"), "--classes: no class fox; the model knows person, car,"),
    ],
)
def test_wrong_usage_is_one_line(
    street: Path, tmp_path: Path, arguments: tuple[str, str], why: str
) -> None:
    code, _, complaint = run("yolo_nas_n", street, "--out", tmp_path / "set", *arguments)
    assert code == 2
    assert complaint.startswith(f"eyrie: {why}")
    assert len(complaint.splitlines()) == 1
    assert not (tmp_path / "set").exists()


@given(st.integers(1, 10_000))
def test_times_have_units(count: int) -> None:
    assert seconds(f"{count}ms") == pytest.approx(count / 1000)
    assert seconds(f"{count}") == seconds(f" {count}s") == count
    assert seconds(f"{count}min") == 60 * count


@pytest.mark.parametrize("text", ["", "0s", "-1", "1 week", "s", "1e3s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ConfigError, match="is no time above 0"):
        seconds(text)
