"""What a SOURCE argument means."""

import logging
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError
from stages.sources.find import Found, expand, expand_all


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def summary(found: list[Found]) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in found]


def test_a_file_is_a_stream_named_by_its_stem(tmp_path: Path) -> None:
    touch(tmp_path, "Gate 3 (north).mp4")
    found = expand(str(tmp_path / "Gate 3 (north).mp4"))
    assert summary(found) == [("file", "Gate-3-north")]
    assert found[0].location == str(tmp_path / "Gate 3 (north).mp4")


def test_a_folder_of_videos_is_a_stream_each(tmp_path: Path) -> None:
    touch(tmp_path, "b.MP4", "a.mkv", "notes.txt", ".hidden.mp4", "deeper/c.mp4")
    assert summary(expand(str(tmp_path))) == [("file", "a"), ("file", "b")]


def test_a_folder_of_pictures_is_one_stream(tmp_path: Path) -> None:
    touch(tmp_path, "shots/2.png", "shots/1.jpg")
    assert summary(expand(str(tmp_path / "shots"))) == [("images", "shots")]


@pytest.mark.parametrize("name", ["one.JPG", "one.tif"])
def test_a_picture_is_a_stream(name: str, tmp_path: Path) -> None:
    touch(tmp_path, name)
    assert summary(expand(str(tmp_path / name))) == [("images", "one")]


def test_in_a_mixed_folder_videos_win_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "a.mp4", "thumb.jpg")
    with caplog.at_level(logging.WARNING):
        assert summary(expand(str(tmp_path))) == [("file", "a")]
    assert "not its 1 pictures" in caplog.text


def test_patterns(tmp_path: Path) -> None:
    touch(tmp_path, "x/gate1.mp4", "y/gate2.mp4", "y/other.mp4")
    found = expand(str(tmp_path / "**" / "gate*.mp4"))
    assert summary(found) == [("file", "gate1"), ("file", "gate2")]


def test_a_name_that_looks_like_a_pattern_is_a_file_first(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].mp4", "a1.mp4")
    found = expand(str(tmp_path / "a[1].mp4"))
    assert [one.location for one in found] == [str(tmp_path / "a[1].mp4")]


def test_repeated_names_are_numbered_past_taken_ones(tmp_path: Path) -> None:
    touch(tmp_path, "1/cam.mp4", "2/cam.mp4", "3/cam-2.mp4", "4/cam.mp4")
    found = expand(str(tmp_path / "*" / "*.mp4"))
    assert [one.name for one in found] == ["cam", "cam-2", "cam-2-2", "cam-3"]
    again = expand_all([str(tmp_path / "1"), "street:", str(tmp_path / "2"), "street:"])
    assert [one.name for one in again] == ["cam", "street", "cam-2", "street-2"]


def test_cameras() -> None:
    found = expand("rtsp://me:hunter2@10.0.0.7:8554/live/main?x=1")
    assert summary(found) == [("rtsp", "10.0.0.7-live-main")]
    assert "hunter2" not in repr(found)


def test_all_that_a_configuration_can_read(tmp_path: Path) -> None:
    folder = touch(tmp_path, "in/a.txt") / "in"
    assert summary(expand("https://me:hunter2@example.org/a/list.m3u8?token=1")) == [
        ("http", "example.org-a-list.m3u8")
    ]
    assert expand("-") == [Found("stdin", "stdin", "-")]
    assert expand(f"watch:{folder}") == [Found("watch", "in", str(folder))]
    assert expand("/dev/null") == [Found("webcam", "null", "/dev/null")]
    assert "hunter2" not in repr(expand("http://me:hunter2@example.org/a.mp4"))


@pytest.mark.parametrize(
    ("source", "name", "seed"),
    [("street:", "street", "0"), ("street:7", "street-7", "7"), ("street:007", "street-7", "7")],
)
def test_street(source: str, name: str, seed: str) -> None:
    assert expand(source) == [Found("street", name, seed)]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("", "source is empty"),
        ("gone.mp4", "source 'gone.mp4': no such file or folder"),
        ("gone*.mp4", r"source 'gone\*\.mp4': no file matches"),
        ("street:x", "the seed must be digits"),
        ("ftp://me:hunter2@cam/a", "only rtsp, rtsps, http and https"),
        ("https://me:hunter2/@cam/a", "no valid host and port"),
        ("watch:", "no such folder"),
        ("watch:gone", "source 'watch:gone': no such folder"),
        ("/dev/video99", "source '/dev/video99': no such device"),
        ("rtsp://me:hunter2/@cam/a", "no valid host and port"),
    ],
)
def test_what_means_nothing_is_said_in_one_line(source: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        expand(source)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_name_that_no_file_can_have_is_an_error() -> None:
    with pytest.raises(ConfigError, match="File name too long"):
        expand("a" * 300)


def test_names_fit_into_an_identifier(tmp_path: Path) -> None:
    touch(tmp_path, "_clip.mp4", "b" * 200 + ".mp4", "c\udcff\n.mp4")
    assert [one.name for one in expand(str(tmp_path))] == ["clip", "b" * 100, "c"]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither videos nor pictures"):
        expand(str(tmp_path))


def test_a_pattern_of_pictures_asks_for_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png")
    with pytest.raises(ConfigError, match="name their folder"):
        expand(str(tmp_path / "*.png"))
