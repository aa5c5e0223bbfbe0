"""`eyrie run` where the last write, that of closing, fails."""

import asyncio
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.cli.run import finish, run
from pipeline.config.file import parse_config
from sinks.jsonl import JsonLinesSink
from tests.stages.sources.clips import encode


def test_a_file_that_cannot_be_closed_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose(sink: JsonLinesSink) -> None:
        close(sink)
        raise OSError("the server of the disk is gone")

    close = JsonLinesSink.close
    monkeypatch.setattr(JsonLinesSink, "close", lose)
    source = {"kind": "file", "path": str(encode(tmp_path / "a.mp4", 2))}
    sink = {"kind": "jsonl", "path": str(tmp_path / "a.jsonl")}
    config = parse_config({"streams": [{"id": "a", "source": source}], "sinks": [sink]})
    outcome = asyncio.run(run(config, quiet=True))
    assert finish(outcome, Console(), quiet=True) == 1
    told = "sink 'jsonl': cannot be closed: unexpected OSError: the server of the disk is gone"
    assert f"eyrie: {told}" in capsys.readouterr().err.splitlines()
