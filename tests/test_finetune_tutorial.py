"""docs/finetune.md, command by command, with smaller numbers."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("pycocotools", reason="needs the train extra")

ROOT = Path(__file__).resolve().parents[1]
SHORTER = {
    "cones --pictures 160": "cones --pictures 40",
    "--sizes 320 --pictures 6000": "--sizes 96 --pictures 640 --batch 8 --threads 1",
    "--pictures 100": "--pictures 8",
}
"""Text in the page -> text that is run."""


def commands() -> list[str]:
    page = (ROOT / "docs/finetune.md").read_text()
    lines = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    text = "\n".join(lines)
    for long, short in SHORTER.items():
        assert text.count(long) == 1, long
        text = text.replace(long, short)
    return text.splitlines()


@pytest.mark.timeout(600)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "detectors").symlink_to(ROOT / "detectors")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"}
    for command in commands():
        words = shlex.split(command)
        program = {
            "python": [sys.executable],
            "eyrie": [sys.executable, "-c", "from pipeline.cli import main; main()"],
        }[words[0]]
        done = subprocess.run(
            [*program, *words[1:]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    messages = [json.loads(line) for line in (tmp_path / "out/clip.jsonl").read_text().splitlines()]
    labels = {d["label"] for m in messages if m["kind"] == "frame" for d in m["detections"]}
    assert labels <= {"cone", "parcel"}
    assert labels, "a little training finds something"
    assert messages[-1]["kind"] == "end_of_stream"
    assert (tmp_path / "runs/cones/samples.png").stat().st_size > 0
    assert (tmp_path / "out/clip.mp4").stat().st_size > 0
