"""`eyrie model quantize`: in full, by search, and what it refuses."""

import json
import re
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs the train extra")

from detectors.quantize.forms import Forms
from pipeline.cli.app import app
from tests.detectors.quantize.test_hybrid import Timed
from tests.detectors.quantize.tiny import write_model, write_pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float model, `tiny.onnx`, and its pictures, `pictures`."""
    folder = tmp_path_factory.mktemp("tiny")
    write_pictures(folder / "pictures", write_model(folder / "tiny.onnx"))
    return folder


@pytest.fixture
def known_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer in float costs the same; so small a network is really fastest in float."""
    monkeypatch.setattr(Forms, "seconds", Timed.seconds)
    monkeypatch.setattr(Forms, "SHARE", Timed.SHARE, raising=False)


def run(folder: Path, *arguments: str | Path) -> tuple[int, str, str]:
    words = ["model", "quantize", folder / "tiny.onnx", "--calibrate", folder / "pictures"]
    result = CliRunner().invoke(app, [*map(str, words), *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_in_full(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(folder, "--pictures", "3", "--method", "max")
    assert code == 0, err
    assert re.fullmatch(r"tiny_int8\.onnx: \d convolutions in 8 bits, 0\.\d\d MB\n", out)
    told = json.loads(metadata(tmp_path / "tiny_int8.onnx")["eyrie.quantization"])
    assert (told["pictures"], told["method"]) == (3, "max")
    assert {name for name in told["float"] if "_pred" in name} == {
        f"/heads/head{n}/{kind}_pred/Conv" for n in (1, 2, 3) for kind in ("cls", "reg")
    }
    assert [path.name for path in tmp_path.iterdir()] == ["tiny_int8.onnx"]


@pytest.mark.usefixtures("known_times")
def test_by_search_and_once_more(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "x.onnx"
    search: list[str | Path] = ["--max-drop", "1", "--out", out, "--threads", "1", "--subset", "10"]
    code, shown, _ = run(folder, *search)
    assert code == 0
    for word in ("full INT8", "heads in float", "FP32", "chosen", "Left in float"):
        assert word in shown
    assert re.search(r"x\.onnx: \d+ convolutions in 8 bits, -?\d\.\d\d points lost, \d\.\d\d times",
                     shown.replace("\n", " "))  # fmt: skip
    told = json.loads(metadata(out)["eyrie.quantization"])
    assert told["evidence"]["chosen"]["drop"] <= 1
    assert told["evidence"]["validation"]["pictures"] == 10
    names = {path.name for path in out.parent.iterdir()}
    assert names == {"x.onnx", "x.json", "x.png", "x.search.jsonl"}
    journal = (out.parent / "x.search.jsonl").read_bytes()
    code, shown, _ = run(folder, *search, "--quiet")
    assert (code, "chosen" in shown) == (0, False)
    assert (out.parent / "x.search.jsonl").read_bytes() == journal
    assert json.loads(metadata(out)["eyrie.quantization"]) == told


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--engine", "openvino"], 2, "--engine: is for the search: give --max-drop too"),
        (["--subset", "5"], 2, "--subset: is for the search: give --max-drop too"),
        (["--validate", "x"], 2, "--validate: is for the search: give --max-drop too"),
        (["--out", "x.bin"], 2, "--out: x.bin must end in .onnx"),
        (["--pictures", "99"], 2, "has 6 readable pictures of the split 'train'"),
        (["--max-drop", "1", "--validate", "nowhere"], 2, "nowhere: no such folder or file"),
    ],
)
def test_what_cannot_be(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str],
    code: int, why: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    found, out, err = run(folder, *arguments, "--quiet")
    assert (found, out) == (code, "")
    assert why in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_file_to_quantize_is_not_overwritten(folder: Path) -> None:
    before = (folder / "tiny.onnx").read_bytes()
    code, _, err = run(folder, "--out", folder / "tiny.onnx")
    assert (code, "is the file to quantize; name another" in err) == (2, True)
    assert (folder / "tiny.onnx").read_bytes() == before
