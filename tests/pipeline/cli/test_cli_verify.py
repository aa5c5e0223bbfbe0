"""`eyrie verify` and `eyrie tail` as people run them, on files."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from pipeline.core.messages import encode, read
from tests.services.servers import free_port
from tests.sinks.consume.told import frame, track_end, whole, write

ROOT = Path(__file__).resolve().parents[3]


def eyrie(*arguments: object, **env: str) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "160", **env})


def test_a_whole_file_is_complete(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", whole([True, False] * 50))
    result = eyrie("verify", path, "--strict")
    assert result.exit_code == 0, result.output
    assert "complete: nothing is missing" in result.stdout
    assert re.search(r"run-1 +│ gate +│ +1 │ +50 │ +49 │", result.stdout)


def test_holes_are_listed_and_the_exit_code_says_so(tmp_path: Path) -> None:
    messages = [m for m in whole([True] * 50) if m.kind != "frame" or m.seq not in (7, 8, 30)]
    path = write(tmp_path / "gate.jsonl", messages)
    result = eyrie("verify", f"file:{path}")
    assert result.exit_code == 1
    assert "missing: gate (run run-1), epoch 0: seq 7 to 8 (2 frames)" in result.stdout
    assert "missing: gate (run run-1), epoch 0: seq 30 to 30 (1 frames)" in result.stdout
    told = json.loads(eyrie("verify", path, "--json").stdout)
    assert told["complete"] is False
    assert told["streams"][0]["holes"][0] == {
        "first_seq": 7, "last_seq": 8, "epoch": 0, "next_epoch": 0,
    }  # fmt: skip


def test_what_was_cut_off_is_told_and_no_error(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", whole([True] * 5)[:-1])
    with path.open("ab") as file:
        file.write(encode(frame(5))[:40])
    result = eyrie("verify", path)
    assert result.exit_code == 1, "half a line is no message"
    path.write_bytes(path.read_bytes()[:-40])
    result = eyrie("verify", path)
    assert result.exit_code == 0
    assert "open: without end_of_stream; it still runs, or was cut off" in result.stdout


def test_what_others_wrote_is_told_and_stops_nothing(tmp_path: Path) -> None:
    """Nested without end, a name that is markup, one that would clear the screen."""
    path = write(tmp_path / "gate.jsonl", whole([True] * 5))
    names = ("[/red]", "\x1b[2J")
    with path.open("ab") as file:
        file.write(b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n")
        file.writelines(
            encode(frame(0)).replace(b'"gate"', json.dumps(name).encode()) + b"\n" for name in names
        )
    result = eyrie("verify", path)
    assert result.exit_code == 1
    assert "no message: " in result.stdout
    assert "nested too deeply" in result.stdout
    assert "│ [/red] " in result.stdout
    assert "\x1b[2J" not in result.stdout
    assert r"│ \x1b[2J " in result.stdout


@pytest.mark.parametrize("folder", [True, False])
def test_dead_letters_are_accounted_for(tmp_path: Path, folder: bool) -> None:
    messages = whole([True] * 9)
    path = write(tmp_path / "gate.jsonl", [m for m in messages if m.seq != 4])
    assert eyrie("verify", path).exit_code == 1
    letters = tmp_path / "spool/kafka/dead_letters.jsonl"
    letters.parent.mkdir(parents=True)
    letters.write_text(
        json.dumps({"reason": "too large", "body": encode(frame(4)).decode()}) + "\n"
    )
    result = eyrie("verify", path, "--dead-letters", tmp_path / "spool" if folder else letters)
    assert result.exit_code == 0, result.output
    assert "1 of these are dead letters" in result.stdout


def test_dead_letters_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", [frame(0)])
    result = eyrie("verify", path, "--dead-letters", tmp_path / "none.jsonl")
    assert result.exit_code == 3
    assert "No such file" in result.stderr
    (tmp_path / "spool").mkdir()
    result = eyrie("verify", path, "--dead-letters", tmp_path / "spool")
    assert result.exit_code == 2
    assert "holds neither a spool nor a dead_letters.jsonl" in result.stderr
    (tmp_path / "spool" / "identity").write_text("0" * 32)
    result = eyrie("verify", path, "--dead-letters", tmp_path / "spool")
    assert result.exit_code == 0, result.output


def test_what_comes_late_is_wrong_unless_any_order_will_do(tmp_path: Path) -> None:
    messages = whole([True] * 9)
    late = [m for m in messages if m.seq in (3, 4) and m.kind == "frame"]
    path = write(tmp_path / "gate.jsonl", [*(m for m in messages if m not in late), *late])
    result = eyrie("verify", path)
    assert result.exit_code == 1
    assert "seq 3 of epoch 0 came behind 8 of epoch 0" in result.stdout
    told = eyrie("verify", path, "--any-order", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["streams"][0]["out_of_order"] == 2


def test_a_kind_that_is_none_is_refused(tmp_path: Path) -> None:
    result = eyrie("verify", write(tmp_path / "x.jsonl", []), "--kind", "frames")
    assert result.exit_code == 2
    assert "'frames' is none of end_of_stream, event, frame" in result.stderr


def test_nothing_is_not_complete(tmp_path: Path) -> None:
    result = eyrie("verify", write(tmp_path / "x.jsonl", []))
    assert result.exit_code == 1
    assert "there is no message to be proved" in result.stdout


@pytest.mark.parametrize("command", ["verify", "tail"])
def test_passwords_do_not_belong_in_an_address(command: str) -> None:
    result = eyrie(command, "redis://ann:hunter2@127.0.0.1:1/0")
    assert result.exit_code == 2
    assert "set EYRIE_PASSWORD" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize("command", ["verify", "tail"])
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("kafka://nowhere.invalid:9092/t", "nowhere.invalid:9092: Name or service not known"),
        ("kafka://127.0.0.1:{port}/t", "127.0.0.1:{port}: Connection refused"),
        (
            "redis://nowhere.invalid:6379/0",
            "nowhere.invalid:6379 eyrie:detections: Name or service not known",
        ),
        ("redis://127.0.0.1:{port}/0", "127.0.0.1:{port} eyrie:detections: Connection refused"),
        ("redis+cluster://127.0.0.1:{port}", "127.0.0.1:{port}. Connection refused"),
        ("redis+sentinel://127.0.0.1:{port}/m/0", "no Sentinel answers"),
    ],
)
def test_a_host_that_is_not_there_ends_it_in_one_line(command: str, url: str, why: str) -> None:
    port = free_port()
    result = eyrie(command, url.format(port=port))
    assert result.exit_code == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith("eyrie: ")
    assert line.endswith(why.format(port=port))


def test_tail_shows_a_line_for_each_message_and_its_gaps(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", [frame(0), track_end(1, 0), frame(5, dropped=2)])
    result = eyrie("tail", path, "--no-follow")
    assert result.exit_code == 1, "there is a gap"
    lines = result.stdout.splitlines()
    assert lines[0].endswith("0  nothing")
    assert "person 1: seq 0 to 0" in lines[1]
    assert "seq 1 to 2: 2 frames missing" in lines[2]
    assert "5  nothing  (after 2 dropped)" in lines[3]


def test_tail_gives_json_and_takes_wishes(tmp_path: Path) -> None:
    messages = [*whole([True] * 6), frame(0, stream="yard")]
    path = write(tmp_path / "gate.jsonl", messages)

    def shown(*wishes: str) -> list[object]:
        result = eyrie("tail", path, "--no-follow", "--json", *wishes)
        assert result.exit_code == 0, result.output
        return [read(line) for line in result.stdout.splitlines()]

    assert shown() == messages
    assert shown("--stream", "yard") == messages[-1:]
    assert shown("--kind", "track_end") == [m for m in messages if m.kind == "track_end"]
    assert shown("--class", "person") == [m for m in messages if m.kind == "track_end"]
    assert shown("--class", "car") == []
    assert shown("--since", "2026-01-02") == []
    assert shown("--since", "2025-12-31T00:00:00Z") == messages


def test_tail_says_what_it_skips_and_the_exit_code_does_too(tmp_path: Path) -> None:
    path = tmp_path / "gate.jsonl"
    path.write_bytes(b"hello\n\0\xff\x1b[31m\n[1, 2]\n" + b"[" * 100_000 + b"\n" + b"{}\n" * 20)
    result = eyrie("tail", path, "--no-follow")
    assert result.exit_code == 1
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last == "eyrie: skipped 24 records, of another form than Eyrie's messages"


def test_tail_that_has_nothing_to_show_says_what_it_waits_for(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", [frame(0)])
    code = "from pipeline.cli import main; main()"
    command = [sys.executable, "-c", code, "tail", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert told == "waiting for new messages; --since oldest shows what is there\n"


def test_tail_refuses_a_time_that_is_none(tmp_path: Path) -> None:
    result = eyrie("tail", write(tmp_path / "x.jsonl", []), "--since", "yesterday")
    assert result.exit_code == 2
    assert "'yesterday' is none of oldest, newest, a span such as 10m" in result.stderr
