"""`eyrie model summary`: the table, the totals in words, JSON, and errors of one line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs the train extra")

from pipeline.cli.app import app

WEIGHTS = Path(__file__).resolve().parents[3] / "detectors/weights"
ONNX = WEIGHTS / "yolo_nas_n.onnx"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["model", "summary", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_a_variant_is_told_in_numbers_and_words() -> None:
    code, told, _ = run("yolo_nas_s", "--input", "16x3x640x640", "--depth", 1)
    assert code == 0
    for words in (
        "as trained, 80 classes, input 16x3x640x640",
        "16x384x20x20",
        "backbone",
        "16.939",
        "12,878,304 parameters, 16.94 G MACs",
        "6,175,584 more in a checkpoint",
        "19,053,888 parameters, the number that public tables give",
        "12,175,888 parameters once",
        "12,167,600 parameters with batch norms folded too, 15.90 G MACs",
    ):
        assert words in told
    assert "stage1" not in told


def test_the_name_of_a_variant_leads_to_the_bundled_model() -> None:
    code, told, _ = run("yolo_nas_n", "--depth", 0)
    assert code == 0
    assert told.endswith(f"This is the variant. The bundled model: eyrie model summary {ONNX}\n")
    assert "bundled" not in run("yolo_nas_s", "--depth", 0)[1]


def test_json_holds_every_module() -> None:
    code, told, _ = run("yolo_nas_n", "--input", "320x256", "--classes", 3, "--json")
    assert code == 0
    said = json.loads(told)
    assert (said["input"], said["classes"]) == ([1, 3, 320, 256], 3)
    assert said["rows"][0]["outputs"] == [[1, 1680, 4], [1, 1680, 3]]
    assert said["totals"]["trained"] == said["rows"][0]["trainable"]


@pytest.mark.parametrize("model", ["yolo_nas_n_int8", WEIGHTS / "yolo_nas_n.pth"])
def test_files_are_summarized_as_they_are(model: object) -> None:
    code, told, _ = run(model, "--depth", 0)
    assert code == 0
    assert ("as exported" if model == "yolo_nas_n_int8" else "as trained") in told
    assert "5 classes" in told


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["yolo_nas_s", "--input", "1x3x640x641"], 2, "multiples of 32"),
        (["yolo_nas_s", "--input", "1x3x640"], 2, "BxCxHxW"),
        (["yolo_nas_s", "--input", "big"], 2, "--input"),
        (["yolo_nas_n_int8", "--input", "640"], 2, "exported for one size"),
        (["yolo_nas_n_int8", "--classes", "3"], 2, "classes of its own"),
        (["nowhere.pth"], 3, "nowhere.pth"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], code: int, why: str) -> None:
    found, _, complaints = run(*arguments)
    assert found == code
    assert why in complaints
    assert complaints.count("\n") == 1
