"""The keys `plane`, `kind: heatmap` and `kind: trajectories`: what is refused, by which path."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.build.sinks import make_sinks
from pipeline.build.streams import make_plane
from pipeline.config.file import load_config, parse_config
from pipeline.core.errors import ConfigError

METRES: list[dict[str, list[float]]] = [
    {"picture": [400, 900], "m": [0, 0]},
    {"picture": [1500, 900], "m": [8, 0]},
    {"picture": [1200, 400], "m": [8, 30]},
    {"picture": [700, 400], "m": [0, 30]},
]
DEGREES: list[dict[str, list[float]]] = [
    {"picture": [400, 900], "lat_lon": [52.5, 13.4]},
    {"picture": [1500, 900], "lat_lon": [52.5, 13.400118]},
    {"picture": [1200, 400], "lat_lon": [52.50027, 13.400118]},
    {"picture": [700, 400], "lat_lon": [52.50027, 13.4]},
]


def config(
    plane: dict[str, Any] | None, sink: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    stream = {"id": "gate", "source": {"kind": "file", "path": "a.mp4"}, "plane": plane}
    return {"streams": [stream], "sinks": [sink or {"kind": "jsonl", "path": "-"}], **more}


def test_points_make_a_plane() -> None:
    stream = parse_config(config({"points": METRES})).streams[0]
    assert make_plane(stream) is not None
    assert make_plane(stream.model_copy(update={"plane": None})) is None


@pytest.mark.parametrize(
    ("plane", "path", "said"),
    [
        ({"points": METRES[:3]}, "streams[0].plane.points", "3 points: a plane needs 4"),
        ({"points": [*METRES[:3], DEGREES[3]]}, "streams[0].plane.points", "all points have m"),
        ({"points": [{"picture": [1, 2]}, *METRES[1:]]}, "streams[0].plane.points[0]", "give m"),
        ({"points": [*METRES[:3], METRES[2]]}, "streams[0].plane", "3 and 4 are the same"),
        ({"points": [*METRES[:2], {**METRES[2], "m": [0, 30]}, {**METRES[3], "m": [8, 30]}]},
         "streams[0].plane", "horizon would run between"),
        ({"points": [{**p, "m": [1000 * v for v in p["m"]]} for p in METRES]},
         "streams[0].plane", "span 30000 m on the ground: give metres"),
        ({"points": METRES, "area": [[0, 999], [1900, 999], [900, -90]]},
         "streams[0].plane", "the horizon runs through the area"),
        ({"points": METRES, "units": "normalised"}, "streams[0].plane", "from 0 to 1"),
        ({"points": DEGREES, "geo": {"origin": [1, 2]}}, "streams[0].plane", "geo is for points"),
        ({"points": [{**p, "lat_lon": p["lat_lon"][::-1]} for p in DEGREES]},
         "streams[0].plane", "mirrored"),
        ({"points": METRES, "geo": {"origin": [99, 2]}}, "streams[0].plane.geo.origin[0]", "85"),
        ({"points": METRES, "unit": "m"}, "streams[0].plane.unit", "unknown"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_key(
    plane: dict[str, Any], path: str, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(config(plane))
    assert refused.value.path == path
    assert said in str(refused.value)


def test_plane_needs_tracks() -> None:
    with pytest.raises(ConfigError, match=r"tracking\.enabled"):
        parse_config(config({"points": METRES}, tracking={"enabled": False}))


def test_plane_needs_a_camera_that_stands_still() -> None:
    moving = config({"points": METRES}, tracking={"camera_motion": "flow"})
    with pytest.raises(ConfigError, match="stream 'gate': its plane holds only while"):
        parse_config(moving)
    moving["streams"][0]["camera_motion"] = "off"
    assert parse_config(moving).streams[0].plane is not None


def test_degrees_are_metres_around_their_middle() -> None:
    plane = parse_config(config({"points": DEGREES})).streams[0].plane
    assert plane is not None
    metres = plane.calibration.plane
    assert np.allclose(metres, [(-4, -15), (4, -15), (4, 15), (-4, 15)], atol=0.1)
    assert plane.geo_reference is not None
    assert plane.geo_reference.to_globe(metres)[2] == pytest.approx((13.400118, 52.50027), abs=1e-7)


@pytest.mark.parametrize(
    ("plane", "sink", "path", "said"),
    [
        (None, {"kind": "heatmap", "path": "a.png", "coordinates": "plane"},
         "sinks[0].coordinates", "has a plane"),
        (None, {"kind": "trajectories", "path": "a.geojson"},
         "sinks[0].coordinates", "has a plane"),
        ({"points": METRES}, {"kind": "trajectories", "path": "a.json", "coordinates": "wgs84"},
         "sinks[0].coordinates", "not known where on the globe stream 'gate' is"),
        (None, {"kind": "heatmap", "path": "a.jpg"}, "sinks[0]", "must end with .png"),
        (None, {"kind": "heatmap", "path": "a.png", "cell": 0.5}, "sinks[0]", "2 at least"),
    ],
)  # fmt: skip
def test_sinks_without_what_they_need(
    plane: dict[str, Any] | None, sink: dict[str, Any], path: str, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        make_sinks(parse_config(config(plane, sink)))
    assert refused.value.path.startswith(path)
    assert said in str(refused.value)


def test_example_on_the_page_is_valid(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs/plane.md"
    block = page.read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "config.yaml").write_text(block)
    loaded = load_config(tmp_path / "config.yaml")
    assert make_plane(loaded.streams[0]) is not None
    assert [sink.name for sink, _ in make_sinks(loaded)] == ["jsonl", "heatmap", "trajectories"]
