"""`eyrie model export` and `quantize`: what they cannot do is one line. What they do is run by
tests/test_finetune_tutorial.py."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs the train extra")

from detectors.yolo_nas.detector import WEIGHTS
from pipeline.cli.app import app

CHECKPOINT = WEIGHTS / "yolo_nas_n.pth"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("neither weights nor figures")
    return path


def complaint(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["model", *map(str, arguments)])
    (line,) = result.stderr.splitlines()
    return result.exit_code, line


@pytest.mark.parametrize("size", ["999x32", "0", "32x32x32", "big"])
def test_a_size_that_is_none(size: str) -> None:
    code, line = complaint("export", CHECKPOINT, "--size", size)
    assert code == 2
    assert f"'{size}' is no side or HEIGHTxWIDTH in multiples of 32" in line


def test_exports_that_cannot_be(text: Path, tmp_path: Path) -> None:
    if not CHECKPOINT.is_file():
        pytest.skip("the checkpoint is not bundled")
    out = tmp_path / "out.onnx"
    code, line = complaint("export", CHECKPOINT, "--out", out, "--metrics", text)
    assert (code, "notes.txt is no JSON" in line) == (2, True)
    code, line = complaint("export", text, "--out", out)
    assert (code, "is not a file of torch.save" in line) == (3, True)
    assert not out.exists()


def test_models_that_cannot_be_quantized(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    for model, why in (
        (text, "is no ONNX file"),
        ("yolo_nas_n_int8", "is quantized already; give the FP32 file"),
        ("nowhere.onnx", "no such file"),
    ):
        code, line = complaint("quantize", model, "--calibrate", tmp_path, "--out", out)
        assert (code, why in line) == (3, True), line
    code, line = complaint("quantize", "yolo_nas_n", "--calibrate", "nowhere", "--out", out)
    assert (code, "nowhere: no such folder or file" in line) == (2, True)
    assert not out.exists()
