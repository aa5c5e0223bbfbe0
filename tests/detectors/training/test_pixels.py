"""Picture files: upright, whole, or named as no good."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from detectors.training.data import picture_size, read_image


def noise(path: Path) -> Path:
    image = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    cv2.imwrite(str(path), image)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
def test_sizes_are_those_of_the_pixels(suffix: str, tmp_path: Path) -> None:
    path = noise(tmp_path / f"a.{suffix}")
    height, width, channels = read_image(path).shape
    assert picture_size(path) == (width, height) == (90, 60)
    assert channels == 3


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95])
def test_half_a_file_is_no_picture(
    suffix: str, share: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = noise(tmp_path / f"a.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=rf"a\.{suffix}: not a readable picture"):
        read_image(path)
    capfd.readouterr()  # decoders say more on standard error


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"b\.png: not a readable picture: No such file"):
        read_image(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png: not a readable picture"):
        picture_size(tmp_path / "b.png")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_and_so_is_their_size(orientation: int, tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image", reason="needs the train extra")
    image = pil.new("RGB", (80, 40))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.jpg", exif=exif)
    height, width, _ = read_image(tmp_path / "turned.jpg").shape
    assert picture_size(tmp_path / "turned.jpg") == (width, height)
    assert (width > height) == (orientation < 5)


def test_a_thumbnail_does_not_hide_that_the_end_is_missing(tmp_path: Path) -> None:
    thumbnail = noise(tmp_path / "thumb.jpg").read_bytes()
    whole = noise(tmp_path / "a.jpg").read_bytes()
    segment = b"\xff\xe5" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path = tmp_path / "a.jpg"
    path.write_bytes(whole[:2] + segment + whole[2:])
    assert read_image(path).shape == (60, 90, 3)
    path.write_bytes(whole[:2] + segment + whole[2:-200])
    with pytest.raises(ValueError, match="its end is missing"):
        read_image(path)


def test_a_picture_larger_than_can_be_decoded_is_named(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    path = tmp_path / "huge.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(ValueError, match=r"huge\.png: not a readable picture: .*pixels <= "):
        read_image(path)
