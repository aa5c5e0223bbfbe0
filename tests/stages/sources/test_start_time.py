"""When a recording began: sidecars, names, containers, and which of them counts."""

import logging
import os
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.clock import SECOND_NS
from pipeline.core.errors import DecodeError
from stages.sources.file import FileSource
from stages.sources.start_time import (
    NamePattern,
    StartRule,
    StartTime,
    UnclearStart,
    from_container,
    from_sidecar,
    parse_zone,
)
from tests.stages.sources.clips import MakeClip

NOON_NS = int(datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC).timestamp()) * SECOND_NS


@pytest.mark.parametrize(
    ("pattern", "name", "uncertainty_ns"),
    [
        ("%Y%m%d_%H%M%S", "gate-20261124_120000", SECOND_NS),
        ("%Y%m%d_%H%M%S", "99991399_999999_20261124_120000_x", SECOND_NS),
        ("%Y-%m-%dT%H.%M.%S.%f", "2026-11-24T12.00.00.000", SECOND_NS // 1000),
        ("cam [%d.%m.%y] %H%M", "cam [24.11.26] 1200", 60 * SECOND_NS),
        ("%Y%j%H", "202632812", 3600 * SECOND_NS),
        ("%s", "gate_1795521600", SECOND_NS),
        ("%s.%f", "1795521600.0", SECOND_NS // 1000),
        ("%Y%m%d%H%M%S%z", "20261124130000+0100", SECOND_NS),
        ("100%%_%Y%m%d_%H%M%S", "100%_20261124_120000", SECOND_NS),
    ],
)
def test_a_time_in_a_name(pattern: str, name: str, uncertainty_ns: int) -> None:
    assert NamePattern(pattern).find(name, UTC) == (NOON_NS, uncertainty_ns)


MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1))
ZONES = st.sampled_from([UTC, ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=-3))])


@given(MOMENTS, ZONES)
def test_a_name_made_by_a_pattern_is_read_by_it(moment: datetime, zone: tzinfo) -> None:
    pattern = "cam1_%Y-%m-%d_%H%M%S_%f"
    found = NamePattern(pattern).find(moment.strftime(pattern), zone)
    expected = moment.replace(tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)
    assert found is not None
    assert found[0] == expected // timedelta(microseconds=1) * 1000


def test_an_hour_that_a_clock_shows_twice_is_uncertain_by_an_hour() -> None:
    found = NamePattern("%Y%m%d_%H%M%S").find("20261025_023000", ZoneInfo("Europe/Berlin"))
    first = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()) * SECOND_NS
    assert found == (first, 3601 * SECOND_NS)


@pytest.mark.parametrize("name", ["gate", "2026112_120000", "20260231_120000", "20261124-120000"])
def test_a_name_without_a_time(name: str) -> None:
    assert NamePattern("%Y%m%d_%H%M%S").find(name, UTC) is None


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("%Q", "%Q is not known"),
        ("%", "% is not known"),
        ("%H%M%S", "a whole date is needed"),
        ("%Y%m%d%Y", "may be there once"),
        ("%s%H", "only %f may be beside it"),
        ("", "a whole date is needed"),
    ],
)
def test_a_pattern_that_is_none(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        NamePattern(pattern)


@pytest.mark.parametrize(
    ("name", "hours"), [("UTC", 0), ("+01:00", 1), ("-0330", -3.5), ("Europe/Berlin", 1)]
)
def test_zones(name: str, hours: float) -> None:
    offset = datetime(2026, 11, 24, tzinfo=parse_zone(name)).utcoffset()
    assert offset == timedelta(hours=hours)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "+1", "+24:00", "+01:60"])
def test_a_zone_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone that this machine knows"):
        parse_zone(name)


@pytest.mark.parametrize(
    ("suffix", "text", "expected"),
    [
        (".start", "2026-11-24T12:00:00Z\n", (NOON_NS, SECOND_NS)),
        (".start", "2026-11-24T13:00:00+01:00", (NOON_NS, SECOND_NS)),
        (".start", "2026-11-24 12:00:00", (NOON_NS, SECOND_NS)),
        (".json", '{"start_time": "2026-11-24T12:00:00Z", "b": 1}', (NOON_NS, SECOND_NS)),
        (".json", '{"start_time": 1795521600.5}', (NOON_NS + SECOND_NS // 2, SECOND_NS)),
        (".json", '{"start_time": "2026-11-24T12:00Z", "uncertainty_s": 0.02}', (NOON_NS, 2e7)),
        (".json", '{"frames": []}', None),
        (".json", "[1, 2]", None),
        (".json", "not json", None),
    ],
)
def test_a_sidecar(
    tmp_path: Path, suffix: str, text: str, expected: tuple[int, float] | None
) -> None:
    (tmp_path / f"gate{suffix}").write_text(text)
    found = from_sidecar(tmp_path / "gate.mp4")
    assert (found and (found.utc_ns, found.uncertainty_ns)) == expected


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".start", ""),
        (".start", "yesterday"),
        (".start", "12:00"),
        (".json", '{"start_time": null}'),
        (".json", '{"start_time": -5}'),
        (".json", '{"start_time": true}'),
        (".json", '{"start_time": 1, "uncertainty_s": -1}'),
        (".json", '{"start_time": 1, "uncertainty_s": "some"}'),
    ],
)
def test_a_sidecar_that_says_no_time_is_refused(tmp_path: Path, suffix: str, text: str) -> None:
    sidecar = tmp_path / f"gate{suffix}"
    sidecar.write_text(text)
    with pytest.raises(UnclearStart, match=str(sidecar)):
        from_sidecar(tmp_path / "gate.mp4")


@pytest.mark.parametrize("text", ["", "no date", "1970-01-01T00:00:00Z", "1904-01-01T00:00:00Z"])
def test_a_container_that_does_not_know(text: str) -> None:
    assert from_container(text, 0) is None


def test_what_comes_first_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = tmp_path / "gate-20261124_120000.mp4"
    video.touch()
    os.utime(video, ns=(0, 5 * SECOND_NS))
    named, other = StartRule("%Y%m%d_%H%M%S", "Europe/Berlin"), StartRule("%Y/%m/%d")
    assert other.start(video, "", 2 * SECOND_NS) == StartTime(3 * SECOND_NS, "file", 3 * SECOND_NS)
    assert "no time like %Y/%m/%d in its name" in caplog.text
    created = other.start(video, "2026-11-24T12:00:00Z", 2 * SECOND_NS)
    assert created == StartTime(NOON_NS, "container", 3 * SECOND_NS)
    by_name = named.start(video, "2026-01-01T12:00:00Z", 0)
    assert by_name == StartTime(NOON_NS - 3600 * SECOND_NS, "file", SECOND_NS)
    video.with_suffix(".json").write_text('{"start_time": 7}')
    assert named.start(video, "", 0).utc_ns == 7 * SECOND_NS
    video.with_suffix(".start").write_text("2026-11-24T12:00:00Z")
    assert named.start(video, "", 0).utc_ns == NOON_NS


def test_a_videos_own_name_is_no_sidecar(tmp_path: Path) -> None:
    video = tmp_path / "gate.start"
    video.write_bytes(b"\0\xff")
    assert from_sidecar(video) is None


def test_frames_tell_the_start_and_its_source(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip("20261124_120000.mp4", 3, created="2024-05-06T07:08:09.000000Z")
    rule = StartRule("%Y%m%d_%H%M%S")
    with caplog.at_level(logging.WARNING):
        infos = [frame.info for frame in FileSource("cam", clip, start_rule=rule).frames()]
    assert [info.captured_ns - NOON_NS for info in infos] == [0, 40_000_000, 80_000_000]
    assert {(info.clock, info.uncertainty_ns) for info in infos} == {("file", SECOND_NS)}
    assert caplog.text == ""


def test_a_bad_sidecar_ends_the_stream_with_its_name(make_clip: MakeClip) -> None:
    clip = make_clip("gate.mp4", 3)
    clip.with_suffix(".start").write_text("noon")
    with pytest.raises(DecodeError, match=r"gate\.start: 'noon' is no time"):
        next(FileSource("cam", clip).frames())
