"""Capture devices that are missing, are none, or may not be read. No device is needed."""

import os
from pathlib import Path

import av
import pytest

from pipeline.core.errors import SourceDenied, SourceUnavailable
from stages.sources.reading import Reading
from stages.sources.webcam import WebcamSource

READING = Reading(live=True)


def failure(device: Path) -> SourceUnavailable:
    source = WebcamSource("cam", device, READING, size=(640, 480), rate=30, pixel_format="mjpeg")
    with pytest.raises(SourceUnavailable) as caught:
        list(source.frames())
    return caught.value


def test_a_device_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    error = failure(tmp_path / "video0")
    assert f"{tmp_path}/video0: there is no such device: is the camera plugged in?" in str(error)


def test_a_device_of_another_kind() -> None:
    assert "/dev/null: is not a capture device" in str(failure(Path("/dev/null")))


@pytest.mark.parametrize(
    ("number", "kind", "why"),
    [
        (13, SourceDenied, "be in the group video"),
        (16, SourceUnavailable, "another program uses it"),
        (22, SourceUnavailable, "no such size, frame rate or pixel format"),
        (5, SourceUnavailable, "cannot be opened (Input/output error)"),
    ],
)
def test_what_the_system_says_is_put_into_words(
    number: int, kind: type[SourceUnavailable], why: str
) -> None:
    source = WebcamSource("cam", Path("/dev/video0"), READING)
    error = source._why_not_open(av.error.OSError(number, os.strerror(number)), 0.1)
    assert type(error) is kind
    assert why in str(error)


def test_the_mode_is_asked_for_in_ffmpegs_words() -> None:
    source = WebcamSource(
        "cam", Path("/dev/video0"), READING, size=(640, 480), rate=12.5, pixel_format="mjpeg"
    )
    wanted = {"video_size": "640x480", "framerate": "12.5", "input_format": "mjpeg"}
    assert source._options() == wanted
    assert WebcamSource("cam", Path("/dev/video0"), READING)._options() == {}
