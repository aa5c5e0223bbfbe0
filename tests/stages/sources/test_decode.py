"""Colours and shapes of decoded pictures."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.core.arrays import U8
from stages.sources.decode import to_rgb

LUMA = {"601": (0.299, 0.114), "709": (0.2126, 0.0722)}
BT709, UNSPECIFIED, SMPTE170M = 1, 2, 6
LIMITED, FULL = 1, 2


def flat(
    width: int, height: int, matrix: int, value_range: int, yuv: tuple[int, int, int]
) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, yuv, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace, frame.color_range = matrix, value_range
    return frame


def expected(yuv: tuple[int, int, int], matrix: str, full: bool) -> list[float]:
    """ITU-R BT.601 and BT.709, section on digital representation."""
    kr, kb = LUMA[matrix]
    low, luma, chroma = (0, 255, 255) if full else (16, 219, 224)
    y, cb, cr = (yuv[0] - low) / luma, (yuv[1] - 128) / chroma, (yuv[2] - 128) / chroma
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return [255 * red, 255 * (y - kr * red - kb * blue) / (1 - kr - kb), 255 * blue]


@pytest.mark.parametrize(
    ("size", "tag", "value_range", "matrix"),
    [
        ((64, 48), BT709, LIMITED, "709"),
        ((64, 48), SMPTE170M, LIMITED, "601"),
        ((64, 48), BT709, FULL, "709"),
        ((64, 48), SMPTE170M, FULL, "601"),
        ((64, 48), UNSPECIFIED, LIMITED, "601"),
        ((1280, 720), UNSPECIFIED, LIMITED, "709"),
        ((1280, 720), SMPTE170M, LIMITED, "601"),
    ],
)
def test_matrix_and_range_are_as_the_stream_says(
    size: tuple[int, int], tag: int, value_range: int, matrix: str
) -> None:
    yuv = (120, 90, 190)
    image = to_rgb(flat(*size, tag, value_range, yuv))
    np.testing.assert_allclose(image[20, 20], expected(yuv, matrix, value_range == FULL), atol=3)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (353, 287), (640, 360), (1919, 1079)])
def test_every_size_gives_a_contiguous_picture(size: tuple[int, int]) -> None:
    width, height = size
    image = to_rgb(flat(width, height, SMPTE170M, LIMITED, (120, 128, 128)))
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert int(image.min()) == int(image.max())


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p", "nv12", "gray", "yuv420p10le", "bgr24"])
def test_other_pixel_formats_give_the_same_colour(pix_fmt: str) -> None:
    plain = flat(64, 48, SMPTE170M, LIMITED, (120, 128, 128))
    image = to_rgb(plain.reformat(format=pix_fmt))
    np.testing.assert_allclose(image[20, 20], to_rgb(plain)[20, 20], atol=3)


def test_real_pictures_agree_with_opencv(shared_dir: Path) -> None:
    """An independent converter, on BT.601 limited range, which is all that it knows."""
    with av.open(str(shared_dir / "clips" / "car-detection.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (SMPTE170M, LIMITED)
        planes: U8 = np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
        other = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)
        difference = np.abs(to_rgb(frame).astype(int) - other.astype(int))
    assert np.percentile(difference, 99) <= 3
