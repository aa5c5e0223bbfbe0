"""`eyrie bench` as people run it, short."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from tests.pipeline.cli.test_cli import eyrie


def test_a_short_run_measures_our_parts_and_writes_them_down(tmp_path: Path) -> None:
    result = eyrie(
        "bench", "--out", "b", "--only", "decode,prepare,engine,no_model,pipeline", "--size",
        "128x96", "--frames", 25, "--rounds", 1, "--set", "model.input_shape=file", "--profile",
        cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    tree = json.loads((tmp_path / "b/bench.json").read_text())
    (point,) = tree["points"]
    figures = {row["subject"]: row for row in point["figures"]}
    assert list(figures) == [
        "decode", "decode + prepare", "engine", "pipeline, no model", "pipeline"
    ]  # fmt: skip
    assert all(row["fps"]["middle"] > 0 and row["cpu_ms"]["middle"] > 0 for row in figures.values())
    assert all(row["rss_mb"] > 20 and row["start_up_s"] > 0 for row in figures.values())
    assert any("bound" in row["what"] for row in point["comparisons"])
    assert any("above decode" in row["what"] for row in point["comparisons"])
    assert point["failed"] == {}
    assert point["turns"]["pipeline"][0]["frames"] == 25
    assert tree["stages_cpu_ms_per_frame"]["pipeline"]["decode"] > 0
    assert (tmp_path / "b/pipeline.speedscope.json").is_file()
    assert "frames a second" in result.stdout
    assert result.stdout.splitlines()[0] in (tmp_path / "b/bench.md").read_text()


def test_cameras_give_the_latency_of_every_picture(tmp_path: Path) -> None:
    result = eyrie(
        "bench", "--out", "b", "--only", "live", "--size", "64x64", "--rounds", 1,
        "--live-seconds", 3, "--plots", "-q", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (point,) = json.loads((tmp_path / "b/bench.json").read_text())["points"]
    (latency,) = point["latencies"]
    assert 0 < latency["p50"]["middle"] <= latency["p95"]["middle"] <= latency["p99"]["middle"]
    assert 0 < latency["delivered"]["middle"] <= 1
    assert (tmp_path / "b/latency.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--streams", "1,x"), "--streams: takes whole numbers"),
        (("--size", "1920"), "--size: takes WIDTHxHEIGHT"),
        (("--only", "peering"), "--only: peering is none of decode"),
        (("--prepare",), "--prepare: needs --peers"),
        (("--peers", "."), "--peers: no peer in"),
    ],
)
def test_wrong_usage_is_one_line(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "--out", str(tmp_path / "b"), *arguments])
    assert result.exit_code == 2
    assert result.output.startswith(f"eyrie: {said}")
    assert result.output.count("\n") == 1
    assert not (tmp_path / "b/bench.json").exists()
