"""`eyrie run` with a receiver that is away or refuses, and what `eyrie spool` says of it."""

import json
import os
from pathlib import Path

from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from sinks.base import Outgoing
from sinks.spool.settings import SpoolSettings
from tests.pipeline.cli.test_cli import complaint, eyrie
from tests.services.servers import free_port
from tests.services.streams import outgoing
from tests.sinks.spool.spooling import opened, read_all
from tests.stages.sources.clips import encode


def here(*arguments: object) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


def configure(folder: Path, more: str = "") -> Path:
    clip = encode(folder / "clip.mp4", 20)
    path = folder / "c.yaml"
    path.write_text(
        f"streams: [{{id: a, source: {{kind: file, path: '{clip}'}}}}]\n"
        f"sinks: [{{kind: redis, url: 'redis://me:hunter2@127.0.0.1:{free_port()}/0',"
        f" connect_timeout_s: 2{more}}}]\n"
        "drain_timeout_s: 1\n"
    )
    return path


def test_a_receiver_that_is_away_costs_nothing_and_the_next_run_says_so(tmp_path: Path) -> None:
    config = configure(tmp_path)
    first = eyrie("run", config, cwd=tmp_path)
    assert first.returncode == 0
    assert "messages of an earlier run" not in first.stderr
    wait = "messages wait in .eyrie/spool/redis, the next run delivers them"
    assert f"eyrie: warning: sink 'redis': 22 {wait}" in first.stderr
    assert "sink redis: 22 messages: 0 delivered, 22 wait in the spool, 0 dropped" in first.stdout
    second = eyrie("run", config, "--quiet", cwd=tmp_path)
    assert second.returncode == 0
    assert "sink 'redis': 22 messages of an earlier run wait" in second.stderr
    assert f"eyrie: warning: sink 'redis': 44 {wait}" in second.stderr
    shown = eyrie("spool", "show", "--json", cwd=tmp_path)
    (state,) = json.loads(shown.stdout)
    assert (state["sink"], state["waiting"], state["owner"]) == ("redis", 44, None)
    assert state["oldest"].startswith("20")
    everything = first.stdout + first.stderr + second.stderr + shown.stdout
    assert "hunter2" not in everything


def test_without_a_spool_it_fails_at_the_start(tmp_path: Path) -> None:
    result = eyrie("run", configure(tmp_path, ", spool: off"), "--quiet", cwd=tmp_path)
    assert result.returncode == 3
    assert "sink 'redis'" in complaint(result)
    assert not (tmp_path / ".eyrie").exists()


def test_a_sink_may_have_a_spool_of_its_own(tmp_path: Path) -> None:
    config = configure(tmp_path, ", name: far, spool: {folder: elsewhere, when_full: drop_newest}")
    result = eyrie("run", config, "--quiet", cwd=tmp_path)
    assert "wait in elsewhere/far," in result.stderr
    assert not (tmp_path / ".eyrie").exists()


def test_two_runs_do_not_share_a_spool(tmp_path: Path) -> None:
    config = configure(tmp_path)
    with opened(tmp_path / ".eyrie/spool/redis"):
        result = eyrie("run", config, "--quiet", cwd=tmp_path)
    assert result.returncode == 3
    said = f".eyrie/spool/redis is in use by process {os.getpid()}: stop it, or set another"
    assert said in complaint(result)


def test_show_while_a_run_uses_it(tmp_path: Path) -> None:
    settings = SpoolSettings(1 << 20)
    given = outgoing(["gate"], frames=3000)
    with opened(tmp_path / "kafka", settings) as spool:
        for start in range(0, 500, 100):
            spool.append(given[start : start + 100])
        numbered = spool.read(0, 500)
        spool.dead_letter(numbered[:2], "too large")
        spool.acknowledge(350)
        (state,) = json.loads(eyrie("spool", "show", tmp_path, "--json").stdout)
        assert (state["waiting"], state["dead_letters"], state["damaged_files"]) == (150, 2, 0)
        assert state["owner"] == os.getpid()
        assert state["bytes"] == spool.bytes
        oldest = json.loads(given[350].body)["published_at"]
        assert state["oldest"] == oldest
        table = eyrie("spool", "show", tmp_path)
        assert "kafka" in table.stdout
        assert "150" in table.stdout


def test_show_names_what_is_not_of_eyrie(tmp_path: Path) -> None:
    with opened(tmp_path / "kafka") as spool:
        spool.append(outgoing(["gate"], frames=3))
    (tmp_path / "kafka" / "a\nb.sqlite").write_text("")
    (tmp_path / "kafka" / "notes").mkdir()
    (tmp_path / "other").write_text("")
    shown = here("spool", "show", tmp_path)
    assert shown.exit_code == 0, shown.stderr
    told = [line for line in shown.stdout.splitlines() if line.startswith("not of Eyrie")]
    assert told == [
        f"not of Eyrie, left alone: '{tmp_path}/kafka/a\\nb.sqlite'",
        f"not of Eyrie, left alone: '{tmp_path}/kafka/notes'",
    ]
    (state,) = json.loads(here("spool", "show", tmp_path, "--json").stdout)
    assert (state["waiting"], state["foreign"]) == (5, ["a\nb.sqlite", "notes"])


def refused(folder: Path) -> list[Outgoing]:
    """Two sinks whose receivers have refused all, and one that has nothing."""
    given = outgoing(["gate", "yard"], frames=1)
    for sink in ("kafka", "redis"):
        with opened(folder / sink, SpoolSettings(fsync="never")) as spool:
            spool.append(given)
            for message in read_all(spool):
                why = f"message {message.message_id}: {len(message.body)} bytes are more than 200"
                spool.dead_letter([message], why)
    with opened(folder / "mqtt"):
        pass
    return given


def test_dead_letters_are_told_by_sink_stream_and_reason(tmp_path: Path) -> None:
    given = refused(tmp_path)
    path = tmp_path / "kafka/dead_letters.jsonl"
    path.write_text(path.read_text() + "by hand\n")
    told = json.loads(here("spool", "dead", tmp_path, "--json").stdout)
    assert told["unreadable"] == {"kafka": 1}
    assert [(g["sink"], g["stream"], g["messages"]) for g in told["groups"]] == [
        (sink, stream, 3) for sink in ("kafka", "redis") for stream in ("gate", "yard")
    ]
    yard = max(len(message.body) for message in given if message.key == "yard")
    assert told["groups"][1]["largest_bytes"] == yard
    shown = here("spool", "dead", tmp_path, "--sink", "redis")
    assert shown.exit_code == 0
    assert "bytes are more than 200" in shown.stdout
    assert "kafka" not in shown.stdout
    assert "no dead letters" in here("spool", "dead", tmp_path, "--sink", "mqtt").stdout
    unknown = here("spool", "dead", tmp_path, "--sink", "kafak")
    assert unknown.exit_code == 2
    assert unknown.stderr.strip().endswith(
        f"'kafak' has no spool in {tmp_path}: kafka, mqtt, redis"
    )


def test_replayed_letters_wait_again_and_what_stays_is_told(tmp_path: Path) -> None:
    given = refused(tmp_path)
    path = tmp_path / "redis/dead_letters.jsonl"
    path.write_text("by hand\n" + path.read_text())
    with opened(tmp_path / "redis"):
        busy = here("spool", "dead", tmp_path, "--replay")
    assert busy.exit_code == 3
    assert "redis is in use by process" in busy.stderr
    assert "kafka: 6 wait in the spool, the next run delivers them" in busy.stdout
    rest = here("spool", "dead", tmp_path, "--replay")
    assert rest.exit_code == 1
    assert "redis: 6 wait in the spool" in rest.stdout
    assert f"redis: 1 lines of {path} stay: they are no dead letters" in rest.stdout
    for sink in ("kafka", "redis"):
        with opened(tmp_path / sink) as spool:
            assert [m.body for m in read_all(spool)] == [m.body for m in given]
    assert path.read_text() == "by hand\n"


def test_show_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    result = eyrie("spool", "show", tmp_path / "none")
    assert result.returncode == 2
    assert "No such file or directory: name the spool.folder" in complaint(result)
