"""Lines, zones and masks as they are written: what is refused, and how that is said."""

from typing import Any

import pytest

from pipeline.build.rules import check_classes, make_rules
from pipeline.build.streams import expand_streams
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError
from stages.zones import Rules

LABELS = ("person", "bicycle", "car", "motorcycle")
SQUARE = [[10, 10], [90, 10], [90, 90], [10, 90]]


def _rules(**keys: Any) -> Rules:
    stream = {"id": "a", "source": {"kind": "file", "path": "a.mp4"}, **keys}
    streams = expand_streams(parse_config({"streams": [stream]}))
    check_classes(streams, LABELS)
    return make_rules(streams[0], LABELS)


def test_what_is_written_becomes_rules() -> None:
    rules = _rules(
        lines=[
            {"name": "old", "start": [1, 2], "end": [30, 40]},
            {"name": "bent", "points": [[0, 0], [0.5, 1], [1, 0]], "units": "normalised"},
        ],
        zones=[
            {
                "name": "yard", "polygon": SQUARE, "classes": ["car", "person"],
                "dwell": {}, "limit": {"count": 4}, "interval_s": 60,
                "when": {"days": ["sat"], "hours": ["22:00-06:00"], "zone": "Europe/Berlin"},
            }
        ],
        masks=[{"polygon": SQUARE}],
    )  # fmt: skip
    assert [line.points for line in rules.lines] == [
        ((1, 2), (30, 40)), ((0, 0), (0.5, 1), (1, 0)),
    ]  # fmt: skip
    (yard,) = rules.zones
    assert yard.classes == frozenset({0, 2})
    assert yard.dwell is not None
    assert (yard.dwell.limit_ns, yard.dwell.every_ns) == (0, 10 * 10**9)
    assert yard.crowd is not None
    assert (yard.crowd.limit, yard.crowd.clear) == (4, 3)
    assert yard.schedule is not None
    assert str(yard.schedule.zone) == "Europe/Berlin"
    assert [mask.name for mask in rules.masks] == ["mask 1"]


def _zone(**keys: Any) -> dict[str, Any]:
    return {"zones": [{"name": "yard", "polygon": SQUARE} | keys]}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (_zone(polygon=[[0, 0], [9, 9], [9, 0], [0, 9]]), r"zones\[0\]\.polygon: it crosses or to"),
        (_zone(polygon=[[0, 0], [9, 9]]), r"zones\[0\]\.polygon: .*at least 3"),
        (_zone(polygon=[[0, 0], [9, 0], [9, 0], [0, 9]]), r"zones\[0\]\.polygon: corner 2 and the"),
        (_zone(polygon=[[0, 0], [9, 0], [5, 0]]), r"zones\[0\]\.polygon: it crosses or touches"),
        (_zone(polygon=[[-1, 0], [9, 0], [5, 9]]), r"zones\[0\]\.polygon: \[-1, 0\] is outside of"),
        (_zone(units="normalised"), r"zones\[0\]\.polygon: \[10, 10\] is outside of the picture"),
        (_zone(polygon=[[0, 0], [1, 0], [0, 1]]), r"zones\[0\]\.polygon: no coordinate is above 1"),
        (_zone(units="percent"), r"zones\[0\]\.units: "),
        (_zone(anchor="middle"), r"zones\[0\]\.anchor: "),
        (_zone(classes=["persn"]), r"streams\.a\.zones\[0\]\.classes: 'persn' is unknown; did"),
        (_zone(classes=["zebra"]), r"zones\[0\]\.classes: 'zebra' is unknown; there is bicycle, c"),
        (_zone(limit={"count": 2, "clear": 2}), r"zones\[0\]\.limit: clear 2 must be less than"),
        (_zone(direction={"along": [[1, 1], [1, 1]]}), r"zones\[0\]\.direction\.along: both p"),
        (_zone(when={"hours": ["8-18"]}), r"zones\[0\]\.when\.hours: '8-18' is not of the form"),
        (_zone(when={"hours": ["08:00-08:00"]}), r"when\.hours: '08:00-08:00' begins when it ends"),
        (_zone(when={"zone": "Mars/Base"}), r"zones\[0\]\.when\.zone: 'Mars/Base' is no time zone"),
        (_zone(when={"days": ["monday"]}), r"zones\[0\]\.when\.days\[0\]: "),
        (_zone(dwel={}), r"zones\[0\]\.dwel: unknown key; allowed here: anchor, classes"),
        ({"zones": [*_zone()["zones"]] * 2}, r"zone names must differ"),
        ({"lines": [{"name": "l", "points": [[1, 1], [5, 5]], "end": [2, 2]}]}, "start and end, o"),
        ({"lines": [{"name": "l", "points": [[1, 9], [1, 9]]}]}, r"lines\[0\]\.points: point 1 a"),
        (
            {"lines": [{"name": "l", "units": "normalised", "start": [0, 0], "end": [3, 0]}]},
            r"lines\[0\]\.end: \[3, 0\] is outside",
        ),
        ({"masks": [{"polygon": SQUARE, "classes": ["cra"]}]}, r"masks\[0\]\.classes: 'cra' is un"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_key(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _rules(**keys)
