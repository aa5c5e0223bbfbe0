"""Rewriting in a process of its own: the same bytes, and none of its memory in this one."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from detectors.engines.apart import rewritten_apart
from detectors.engines.rewrite import rewritten
from detectors.yolo_nas.detector import resolve

LOAD = """\
import hashlib, sys
from pathlib import Path
from detectors.engines.apart import rewritten_apart
made = rewritten_apart(Path(sys.argv[1]).read_bytes())
print(hashlib.sha256(made or b"").hexdigest(), "onnx" in sys.modules)
"""


def test_gives_the_same_bytes_and_leaves_onnx_out_of_this_process() -> None:
    path = resolve("yolo_nas_n_int8")
    command = [sys.executable, "-c", LOAD, str(path)]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    digest = hashlib.sha256(rewritten(path.read_bytes())).hexdigest()
    assert said.split() == [digest, "False"]


def test_works_here_where_onnx_is_loaded_already() -> None:
    assert "onnx" in sys.modules
    assert rewritten_apart(b"whatever") is None


@pytest.mark.parametrize("program", ["/bin/false", "/there/is/no/python"])
def test_a_process_that_fails_leaves_the_work_to_this_one(
    monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.delitem(sys.modules, "onnx")
    monkeypatch.setattr(sys, "executable", program)
    assert rewritten_apart(Path(resolve("yolo_nas_n_int8")).read_bytes()) is None
