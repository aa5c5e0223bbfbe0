"""What a search has found survives its end, and nothing of another search comes in."""

import json
import logging
from pathlib import Path

import pytest

from detectors.quantize.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "x.search.jsonl"


def test_results_are_found_once(path: Path) -> None:
    found: list[int] = []

    def find() -> int:
        found.append(1)
        return 7

    journal = Journal(path, {"model": "a"})
    assert [journal.once("seven", find) for _ in range(2)] == [7, 7]
    again = Journal(path, {"model": "a"})
    assert again.once("seven", find) == 7
    assert len(found) == len(again) == 1
    assert "seven" in again
    assert "eight" not in again


def test_another_key_begins_anew(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Journal(path, {"model": "a"}).put("x", 1)
    with caplog.at_level(logging.WARNING):
        assert len(Journal(path, {"model": "b"})) == 0
    assert "is of another search" in caplog.text
    assert len(Journal(path, {"model": "a"})) == 0


@pytest.mark.parametrize("torn", ['["y', '["y", 2, 3]', "5", ""])
def test_a_line_that_was_cut_off_is_dropped(path: Path, torn: str) -> None:
    journal = Journal(path, {"model": "a"})
    journal.put("x", [1, 2])
    with path.open("a") as file:
        file.write(torn)
    again = Journal(path, {"model": "a"})
    assert (len(again), again["x"]) == (1, [1, 2])
    again.put("z", 3)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[1:] == [["x", [1, 2]], ["z", 3]]


def test_a_file_that_is_no_journal_is_begun_anew(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe\x00 no text")
    journal = Journal(path, {"model": "a"})
    journal.put("x", 1)
    assert Journal(path, {"model": "a"})["x"] == 1
