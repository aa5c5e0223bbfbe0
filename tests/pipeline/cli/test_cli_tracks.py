"""`eyrie tracks` over what a real run of the synthetic street has recorded."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from pipeline import Pipeline
from pipeline.cli.app import app
from pipeline.config.file import parse_config
from stages.sources.street import StreetScene
from tests.sinks.tracks.walks import end, walk


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "gate.jsonl"
    path.write_bytes(b"".join(message.body + b"\n" for message in [*walk(3), end()]))
    return path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["tracks", *map(str, arguments)])


def test_heatmap_of_recorded_messages(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "{stream_id}.png"
    result = invoke("heatmap", recorded, "--out", out, "--raw", "csv", "--cell", "20")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "gate.png")
    assert cv2.imread(str(tmp_path / "gate.png")) is not None
    assert (tmp_path / "gate.csv").read_text().startswith("x_px,y_px,dwell_s\n")


def test_trajectories_of_recorded_messages(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "ways.geojson"
    result = invoke("trajectories", recorded, "--out", out, "--classes", "person")
    assert result.exit_code == 0, result.output
    assert len(json.loads(out.read_text())["features"]) == 2
    config = tmp_path / "config.yaml"
    config.write_text(
        "streams:\n- id: gate\n  source: {kind: file, path: a.mp4}\n  plane:\n"
        "    points:\n    - {picture: [400, 900], m: [0, 0]}\n"
        "    - {picture: [1500, 900], m: [8, 0]}\n"
        "    - {picture: [1200, 400], m: [8, 30]}\n    - {picture: [700, 400], m: [0, 30]}\n"
        "    geo: {origin: [52.5, 13.4], bearing_deg: 30}\nsinks:\n- {kind: jsonl, path: '-'}\n"
    )
    wide = ("--coordinates", "wgs84", "--config", config)
    result = invoke("trajectories", recorded, "--out", out, *wide)
    assert result.exit_code == 0, result.output
    longitude, latitude = json.loads(out.read_text())["features"][0]["geometry"]["coordinates"][0]
    assert (longitude, latitude) == pytest.approx((13.4, 52.5), abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("heatmap", "none.jsonl"), "there is no such file"),
        (("heatmap", "GATE", "--stream", "yard"), "there are no tracks in these messages"),
        (("heatmap", "GATE", "--out", "a.jpg"), "--out: path must end with .png"),
        (("heatmap", "GATE", "--cell", "0.1"), "cell is in pixels"),
        (("trajectories", "GATE", "--coordinates", "wgs84"), "--config: is needed"),
        (("trajectories", "WRONG"), "is no message of Eyrie"),
    ],
)
def test_mistakes_are_told_in_a_line(
    recorded: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"a": 1}\n')
    names = {"GATE": str(recorded), "WRONG": str(wrong)}
    result = invoke(*(names.get(word, word) for word in arguments))
    assert result.exit_code in (2, 3)
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1


async def test_run_tells_speeds_and_writes_both(tmp_path: Path) -> None:
    """A street of 4 s with the bundled model: speeds in messages, files of both sinks."""
    camera = StreetScene(910_002, width=960, height=540, frames=1, view="street").layout.camera
    corners = [(96.0, 513.0), (864.0, 513.0), (672.0, 300.0), (288.0, 300.0)]
    ground = camera.ground(np.array(corners)).tolist()
    points = [{"picture": p, "m": m} for p, m in zip(corners, ground, strict=True)]
    source = {"kind": "street", "seed": 910_002, "view": "street", "seconds": 4, "fps": 12.5}
    data: dict[str, Any] = {
        "streams": [
            {"id": "gate", "source": source,
             "plane": {"points": points, "geo": {"origin": [52.5, 13.4]}}}
        ],
        "sinks": [
            {"kind": "jsonl", "path": str(tmp_path / "gate.jsonl")},
            {"kind": "heatmap", "path": str(tmp_path / "heat.png"), "coordinates": "plane"},
            {"kind": "trajectories", "path": str(tmp_path / "ways.geojson"),
             "coordinates": "wgs84"},
        ],
    }  # fmt: skip
    async with Pipeline(parse_config(data)) as pipeline:
        report = await pipeline.wait()
    assert not report.errors
    frames = [json.loads(line) for line in (tmp_path / "gate.jsonl").read_text().splitlines()]
    placed = [
        found["plane"]
        for frame in frames
        if frame["kind"] == "frame"
        for found in frame["detections"]
        if found["plane"] is not None
    ]
    assert any(place["speed_m_s"] is not None for place in placed)
    assert cv2.imread(str(tmp_path / "heat.png")) is not None
    for feature in json.loads((tmp_path / "ways.geojson").read_text())["features"]:
        for longitude, latitude in feature["geometry"]["coordinates"]:
            assert (longitude, latitude) == pytest.approx((13.4, 52.5), abs=0.01)
