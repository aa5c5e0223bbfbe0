"""Pictures as streams."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.core.errors import DecodeError, SourceUnavailable
from stages.sources.images import ImageFolderSource


def draw(
    path: Path, width: int = 32, height: int = 24, rgb: tuple[int, int, int] = (200, 100, 50)
) -> Path:
    image = np.full((height, width, 3), rgb[::-1], np.uint8)
    assert cv2.imwrite(str(path), image)
    return path


def test_pictures_come_in_order_of_names_as_rgb(tmp_path: Path) -> None:
    for name in ("b.png", "a.bmp", "c.tif", "D.JPG"):
        draw(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    source = ImageFolderSource("cam", tmp_path, fps=4)
    frames = list(source.frames())
    assert source.frame_count == 4
    assert [frame.info.pts_ns for frame in frames] == [0, 250_000_000, 500_000_000, 750_000_000]
    assert [frame.info.seq for frame in frames] == [0, 1, 2, 3]
    for frame in frames:
        np.testing.assert_allclose(frame.image[10, 10], (200, 100, 50), atol=4)
    assert frames[0].info.captured_ns == (tmp_path / "D.JPG").stat().st_mtime_ns


def test_a_single_picture_is_a_stream_of_one(tmp_path: Path) -> None:
    source = ImageFolderSource("cam", draw(tmp_path / "one.png"))
    assert len(list(source.frames())) == source.frame_count == 1


def test_bad_pictures_are_named_counted_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "b-empty.png").write_bytes(b"")
    (tmp_path / "c-text.jpg").write_text("hello")
    whole = draw(tmp_path / "d-cut.jpg", 320, 240).read_bytes()
    (tmp_path / "d-cut.jpg").write_bytes(whole[: len(whole) // 2])
    draw(tmp_path / "e-dot.png", 1, 1)
    draw(tmp_path / "f.png")
    source = ImageFolderSource("cam", tmp_path, fps=1)
    with caplog.at_level(logging.WARNING):
        frames = list(source.frames())
    assert [frame.info.seq for frame in frames] == [0, 1]
    assert frames[1].info.pts_ns == 5_000_000_000
    assert source.counts.corrupt_total == 4
    assert source.frame_count == 2
    for name in ("b-empty", "c-text", "d-cut", "e-dot"):
        assert name in caplog.text


def test_smallest_picture_that_is_one(tmp_path: Path) -> None:
    frames = list(ImageFolderSource("cam", draw(tmp_path / "a.png", 2, 2)).frames())
    assert frames[0].image.shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("width", "height", "why"), [(1, 1, "1x1 pixels are too few"), (9, 1, "9x1 pixels")]
)
def test_a_dot_alone_is_an_error(tmp_path: Path, width: int, height: int, why: str) -> None:
    path = draw(tmp_path / "dot.png", width, height)
    with pytest.raises(DecodeError, match=f"the picture cannot be read: .*dot.png: {why}"):
        list(ImageFolderSource("cam", path).frames())


def test_none_of_many_is_an_error_with_the_first_reason(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_text("hello")
    with pytest.raises(
        DecodeError, match=r"none of 2 pictures can be read: .*a\.jpg: it is damaged"
    ):
        list(ImageFolderSource("cam", tmp_path).frames())


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=r"no pictures .* in the folder"):
        list(ImageFolderSource("cam", tmp_path).frames())


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="does not exist"):
        list(ImageFolderSource("cam", tmp_path / "gone").frames())


def test_close_ends_it(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / name)
    source = ImageFolderSource("cam", tmp_path)
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []
