"""What all commands of `eyrie` have in common."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.cli.options import names
from pipeline.core.errors import ConfigError


def test_names_are_a_list_by_commas() -> None:
    assert names("--classes", None) == ()
    assert names("--classes", " person, car") == ("person", "car")


@pytest.mark.parametrize("text", ["", " ", ",", "person,", "person,,car"])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="names by commas, none of them empty"):
        names("--classes", text)


@pytest.mark.parametrize(
    "arguments",
    [
        ("detect", "street:1", "--classes", "person,"),
        ("tail", "{here}", "--no-follow", "--class", "person,"),
        ("tracks", "heatmap", "{here}", "--classes", "person,"),
        ("bench", "--streams", "1,"),
        ("batch", "{here}", "--out", "{here}.out", "--classes", "person,"),
    ],
)
def test_each_command_refuses_it_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    here = tmp_path / "messages.jsonl"
    here.touch()
    result = CliRunner().invoke(app, [each.format(here=here) for each in arguments])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.endswith(f"{arguments[-1]!r}: names by commas, none of them empty")
