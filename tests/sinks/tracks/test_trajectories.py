import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import Rejected
from pipeline.core.geo import GeoReference
from sinks.base import Outgoing
from sinks.tracks.trajectories import TrajectorySink
from sinks.tracks.ways import MOST_POINTS
from tests.sinks.tracks.walks import SetClock, end, frame, uid, walk

GEO = GeoReference(52.5, 13.4, 90.0)


def written(path: Path, messages: Sequence[Outgoing], **how: Any) -> dict[str, Any]:
    sink = TrajectorySink(str(path), **how)
    sink.open()
    sink.write(messages)
    sink.close()
    found: dict[str, Any] = json.loads(path.read_text())
    check_geojson(found)
    return found


def check_geojson(found: dict[str, Any]) -> None:
    """RFC 7946, as far as feature collections of lines are concerned."""
    assert found["type"] == "FeatureCollection"
    assert not {"coordinates", "geometry", "geometries", "properties", "crs"} & set(found)
    for feature in found["features"]:
        assert set(feature) == {"type", "id", "geometry", "properties"}
        assert feature["type"] == "Feature"
        assert feature["geometry"]["type"] == "LineString"
        points = feature["geometry"]["coordinates"]
        assert len(points) >= 2
        assert all(len(point) == 2 for point in points)
        times = feature["properties"]["times"]
        assert len(times) == len(points)
        moments = [datetime.fromisoformat(moment) for moment in times]
        assert moments == sorted(moments)


def test_ways_are_those_of_the_tracks(tmp_path: Path) -> None:
    found = written(tmp_path / "ways.geojson", [*walk(3.2), end()])
    assert found["reference"] == {"frame": "plane", "unit": "m"}
    walker, stander = found["features"]
    assert walker["id"] == walker["properties"]["track_uid"] == uid(1)
    assert walker["properties"]["label"] == "person"
    assert walker["properties"]["stream_id"] == "gate"
    points = walker["geometry"]["coordinates"]
    assert points[0] == [0.5, 2.0]
    assert points[-1] == [5.3, 2.0]
    assert [x for x, _ in points[:-1]] == [0.5, 1.25, 2.0, 2.75, 3.5, 4.25, 5.0]
    assert walker["properties"]["speed_m_s"] == [1.5] * 8
    assert stander["geometry"]["coordinates"][0] == [4.0, 4.0]
    picture = written(tmp_path / "px.geojson", list(walk(3, plane=False)), coordinates="picture")
    assert picture["features"][0]["geometry"]["coordinates"][0] == [50.0, 200.0]
    assert "speed_m_s" not in picture["features"][0]["properties"]


def test_globe_is_longitude_and_latitude(tmp_path: Path) -> None:
    found = written(
        tmp_path / "ways.geojson", list(walk(3)), coordinates="wgs84", globe_of=lambda _: GEO
    )
    assert "reference" not in found
    (first_lon, first_lat), *_, (last_lon, last_lat) = found["features"][0]["geometry"][
        "coordinates"
    ]
    # y points east, so x points south
    assert first_lat > last_lat
    assert (first_lat - last_lat) * 111_270 == pytest.approx(4.5, abs=0.05)
    assert first_lon == pytest.approx(last_lon, abs=1e-6)
    assert first_lon > 13.4


def test_stream_without_a_place_on_the_globe_is_refused(tmp_path: Path) -> None:
    sink = TrajectorySink(str(tmp_path / "ways.geojson"), coordinates="wgs84")
    sink.open()
    messages = list(walk(1))
    with pytest.raises(Rejected, match="not known where on the globe stream 'gate' is") as refused:
        sink.write(messages)
    assert refused.value.message_ids == tuple(message.message_id for message in messages)


def test_files_begin_anew_when_full(tmp_path: Path) -> None:
    messages = [
        frame(seq, 100.0 * number + seq, {number: (1.0 * seq, 1.0)})
        for number in range(1, 8)
        for seq in range(3)
    ]
    written(tmp_path / "ways.geojson", [*messages, end()], tracks_per_file=3)
    by_file = {}
    for name in ("ways", "ways-2", "ways-3"):
        found = json.loads((tmp_path / f"{name}.geojson").read_text())
        by_file[name] = [feature["id"] for feature in found["features"]]
    assert by_file == {
        "ways": [uid(1), uid(2), uid(3)],
        "ways-2": [uid(4), uid(5), uid(6)],
        "ways-3": [uid(7)],
    }


def test_long_tracks_are_thinned_and_keep_their_ends(tmp_path: Path) -> None:
    messages = [frame(n, n / 2, {1: (n / 10, 1.0)}) for n in range(3 * MOST_POINTS)]
    found = written(tmp_path / "ways.geojson", messages)
    points = found["features"][0]["geometry"]["coordinates"]
    assert MOST_POINTS / 4 < len(points) <= MOST_POINTS
    assert points[0] == [0.0, 1.0]
    assert points[-1] == [(3 * MOST_POINTS - 1) / 10, 1.0]


def test_epochs_end_ways(tmp_path: Path) -> None:
    first = [frame(n, n / 10, {1: (n / 10, 1.0)}) for n in range(10)]
    again = [frame(10 + n, n / 10, {2: (n / 10, 1.0)}, epoch=1) for n in range(10)]
    found = written(tmp_path / "ways.geojson", first + again)
    assert [feature["id"] for feature in found["features"]] == [uid(1), uid(2)]


def test_tracks_that_go_on_are_told_at_intervals(tmp_path: Path) -> None:
    clock, path = SetClock(), tmp_path / "ways.geojson"
    sink = TrajectorySink(str(path), every_s=10, clock=clock)
    sink.open()
    messages = list(walk(4))
    sink.write(messages[:20])
    sink.flush(1)
    assert not path.exists()
    clock.now_s = 10
    sink.flush(1)
    first = json.loads(path.read_text())["features"][0]["geometry"]["coordinates"]
    sink.write(messages[20:])
    sink.close()
    last = json.loads(path.read_text())["features"][0]["geometry"]["coordinates"]
    assert first[-1][0] < last[-1][0] == 6.5
