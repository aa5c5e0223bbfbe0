"""The drawn street in the command: who waits for it is told why."""

from pathlib import Path

from pipeline.core.messages import decode
from tests.pipeline.cli.test_cli import eyrie


def test_a_street_is_announced_before_it_is_drawn(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "streams: [{id: gate, source: {kind: street, seconds: 0.2, width: 64, height: 64}}]\n"
        f"sinks: [{{kind: jsonl, path: '{tmp_path}/a.jsonl'}}]\n"
    )
    result = eyrie("run", config)
    assert result.returncode == 0, result.stderr
    first = result.stderr.splitlines()[0]
    assert first == "drawing gate: frames come once all 0.2 s are drawn, which takes about as long"


def test_the_demo_says_that_it_draws_and_writes_what_it_promises(tmp_path: Path) -> None:
    result = eyrie("demo", "--seconds", 1, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    first = result.stderr.splitlines()[0]
    assert first.startswith("drawing 3 cameras, 1 s each; it takes about as long")
    assert "Counted beside the truth" in result.stdout
    for camera in ("high-street", "junction", "motorway"):
        lines = (tmp_path / f"{camera}.jsonl").read_text().splitlines()
        assert sum(decode(line).kind == "frame" for line in lines) == 12
        assert (tmp_path / f"{camera}.mp4").stat().st_size > 0
        assert (tmp_path / "cameras" / f"{camera}.mp4").stat().st_size > 0
