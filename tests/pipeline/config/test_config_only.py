"""Filters of sinks: what cannot work, or names what nobody knows, is refused before the start."""

from typing import Any

import pytest

from pipeline.build.sinks import check_filters, make_filter
from pipeline.build.streams import expand_streams
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError

LABELS = ("person", "bicycle", "car")
STREAMS = [
    {
        "id": "gate",
        "source": {"kind": "rtsp", "url": "rtsp://camera/1"},
        "lines": [{"name": "door", "start": [0, 0], "end": [1, 0]}],
    },
    {"id": "yard-1", "source": {"kind": "rtsp", "url": "rtsp://camera/2"}},
]


def _check(only: dict[str, Any], **more: Any) -> None:
    sinks = [{"kind": "jsonl", "path": "a.jsonl"}, {"kind": "jsonl", "path": "b", "only": only}]
    config = parse_config({"streams": STREAMS, "sinks": sinks} | more)
    check_filters(config, expand_streams(config), LABELS)


@pytest.mark.parametrize(
    "only",
    [
        {},
        {"kinds": ["event"]},
        {"classes": ["car", "person"], "min_score": 0.5},
        {"streams": ["gate", "nobody"], "lines": ["door"]},
        {"streams": ["yard-*"], "kinds": ["frame", "event"]},
    ],
)
def test_what_can_let_something_through(only: dict[str, Any]) -> None:
    _check(only)


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ({"kind": "frame"}, r"\.kind: unknown key; allowed here: classes, kinds, lines, min_score"),
        ({"kinds": []}, r"\.kinds: .*at least 1"),
        ({"kinds": ["frames"]}, r"\.kinds\[0\]: .*'frame', 'track_end'"),
        ({"min_score": 1.5}, r"\.min_score: .*not 1\.5"),
        ({"kinds": ["stream_status"], "classes": ["car"]}, ": classes is of no use"),
        ({"kinds": ["event"], "min_score": 0.5}, ": min_score is of no use"),
        ({"kinds": ["frame"], "lines": ["door"]}, ": lines is of no use"),
        ({"classes": ["car", "cra"]}, r"\.classes: 'cra' is unknown; there is bicycle, car, pers"),
        ({"streams": ["Gate", "yard"]}, r"\.streams: fits none of gate, yard-1$"),
        ({"lines": ["gate"]}, r"\.lines: 'gate' is unknown; there is door$"),
        ({"streams": ["yard-?"], "lines": ["door"]}, r"\.lines: 'door' is unknown; there is none"),
        ({"streams": ["yard-?"], "kinds": ["event"]}, r"\.kinds: nothing would get through: no st"),
    ],
)
def test_what_can_never_let_anything_through(only: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"^sinks\[1\]\.only{said}"):
        _check(only)


def test_classes_that_the_detector_is_not_to_find() -> None:
    with pytest.raises(ConfigError, match=r"\.classes: 'car' is unknown; there is person$"):
        _check({"classes": ["car"]}, model={"classes": ["person"]})


def test_ends_of_tracks_without_tracking() -> None:
    streams = [STREAMS[1]]
    with pytest.raises(ConfigError, match=r"\.kinds: nothing would get through: tracking is off"):
        _check({"kinds": ["track_end"]}, streams=streams, tracking={"enabled": False})


def test_a_video_has_no_messages() -> None:
    sinks = [{"kind": "video", "path": "{stream_id}.mp4", "only": {}}]
    with pytest.raises(ConfigError, match="only is for messages"):
        parse_config({"streams": STREAMS, "sinks": sinks})


def test_no_section_is_no_filter() -> None:
    assert make_filter(None) is None
