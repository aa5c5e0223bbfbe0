import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.core.arrays import U8
from pipeline.core.errors import Rejected, SinkUnavailable
from sinks.tracks.dwell import MOST_CELLS, DwellGrid
from sinks.tracks.heatmap import HeatmapSink
from sinks.tracks.sightings import read_part
from tests.sinks.tracks.walks import SetClock, end, frame, walk


def picture(path: Path) -> U8:
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image, np.uint8)


def test_seconds_are_those_of_the_tracks_in_picture_and_plane(tmp_path: Path) -> None:
    for coordinates in ("picture", "plane"):
        sink = HeatmapSink(
            str(tmp_path / f"{coordinates}.png"),
            coordinates="picture" if coordinates == "picture" else "plane",
            cell=50 if coordinates == "picture" else 0.5,
            raw="csv",
        )
        sink.open()
        sink.write(list(walk(3)))
        sink.close()
        rows = list(csv.reader((tmp_path / f"{coordinates}.csv").read_text().splitlines()))
        found = {(float(x), float(y)): float(s) for x, y, s in rows[1:]}
        unit = 100 if coordinates == "picture" else 1
        assert sum(found.values()) == pytest.approx(6, abs=0.01)
        assert found[4.25 * unit, 4.25 * unit] == pytest.approx(3, abs=0.01)
        walked = {x: s for (x, y), s in found.items() if y == 2.25 * unit}
        assert all(s <= 0.41 for s in walked.values())
        assert len(walked) == 10
        assert sum(walked.values()) == pytest.approx(3, abs=0.01)


def test_png_is_hot_where_they_stay(tmp_path: Path) -> None:
    sink = HeatmapSink(str(tmp_path / "{stream_id}.png"), cell=20)
    sink.open()
    sink.write([*walk(3), end()])
    sink.flush(1)
    image = picture(tmp_path / "gate.png")
    assert image.shape[0] == 480
    assert image.shape[1] > 640
    blue, _, red = image[405, 405].tolist()
    assert red > blue + 50
    cold = image[205, 305].tolist()
    assert cold[2] < red
    assert image[50, 50].tolist() == [24, 24, 24]


def test_background_lies_below(tmp_path: Path) -> None:
    ground = np.full((240, 320, 3), (10, 200, 10), np.uint8)
    cv2.imwrite(str(tmp_path / "ground.png"), ground)
    sink = HeatmapSink(str(tmp_path / "heat.png"), background=tmp_path / "ground.png")
    sink.open()
    sink.write(list(walk(2)))
    sink.close()
    assert picture(tmp_path / "heat.png")[50, 50].tolist() == [10, 200, 10]
    bad = HeatmapSink(str(tmp_path / "heat.png"), background=tmp_path / "none.png")
    with pytest.raises(Rejected, match=r"none\.png' is no picture"):
        bad.open()


def test_npy_says_where_its_cells_are(tmp_path: Path) -> None:
    sink = HeatmapSink(str(tmp_path / "heat.png"), coordinates="plane", cell=0.5, raw="npy")
    sink.open()
    sink.write(list(walk(3)))
    sink.close()
    cells = np.load(tmp_path / "heat.npy")
    about = json.loads((tmp_path / "heat.json").read_text())
    column, row = (int(4.0 / about["cell"]) - first for first in about["first"])
    assert cells[row, column] == pytest.approx(3, abs=0.01)
    assert cells.sum() == pytest.approx(6, abs=0.01)


def test_files_are_written_at_intervals_and_whole(tmp_path: Path) -> None:
    clock, path = SetClock(), tmp_path / "heat.png"
    sink = HeatmapSink(str(path), every_s=10, clock=clock)
    sink.open()
    messages = list(walk(4))
    sink.write(messages[:20])
    sink.flush(1)
    assert not path.exists()
    clock.now_s = 11
    sink.flush(1)
    first = path.read_bytes()
    sink.write(messages[20:])
    sink.flush(1)
    assert path.read_bytes() == first
    sink.close()
    assert path.read_bytes() != first
    assert [found.name for found in tmp_path.iterdir()] == ["heat.png"]


def test_gaps_and_epochs_are_no_stay() -> None:
    grid = DwellGrid("picture", 16)
    for message in (
        frame(0, 0.0, {1: (1.0, 1.0)}),
        frame(1, 30.0, {1: (1.0, 1.0)}),
        frame(2, 0.5, {1: (1.0, 1.0)}, epoch=1),
        frame(3, 0.7, {1: (1.0, 1.0)}, epoch=1),
    ):
        grid.add(read_part(message.body))
    assert grid.seconds.sum() == pytest.approx(0.2)


def test_memory_is_bounded() -> None:
    grid = DwellGrid("plane", 0.01)
    for seq in range(50):
        grid.add(read_part(frame(seq, seq / 10, {1: (seq * 10.0, seq * 10.0)}).body))
    assert grid.seconds.size <= MOST_CELLS
    assert grid.outside_s > 1
    assert grid.seconds.sum() + grid.outside_s == pytest.approx(4.9)


def test_streams_share_a_map_of_one_ground(tmp_path: Path) -> None:
    sink = HeatmapSink(str(tmp_path / "heat.png"), coordinates="plane", cell=0.5, raw="csv")
    sink.open()
    sink.write([*walk(3), *walk(3, stream_id="yard")])
    sink.close()
    lines = (tmp_path / "heat.csv").read_text().splitlines()[1:]
    assert sum(float(line.split(",")[2]) for line in lines) == pytest.approx(12, abs=0.02)


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkUnavailable, match="file"):
        HeatmapSink(str(tmp_path / "file" / "heat.png")).open()
