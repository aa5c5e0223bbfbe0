"""Pictures over a decoder's planes: colour, sizes, turns, and whose memory they lie in."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.core.arrays import F64, U8
from pipeline.core.picture import Picture, RgbPicture
from stages.sources.colour import BT601, BT709, FULL_RANGE, LUMA_SHARES, UNSPECIFIED, Colour
from stages.sources.file import FileSource
from stages.sources.planes import YuvPicture, picture_of, to_rgb
from stages.sources.reading import Reading
from tests.stages.sources.clips import MakeClip

LIMITED = 1
VIEWED = ["yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"]
CONVERTED = ["yuv420p10le", "yuyv422", "rgb24", "bgr24", "gray10le"]


def smooth(height: int, width: int, seed: int = 0) -> U8:
    """Coloured clouds over all levels."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3))
    clouds = cv2.GaussianBlur(noise, (0, 0), 5)
    low, high = clouds.min(axis=(0, 1)), clouds.max(axis=(0, 1))
    return np.asarray((clouds - low) * (255 / np.maximum(high - low, 1)), np.uint8)


def decoded(image: U8, pix_fmt: str, matrix: int = BT601, color_range: int = LIMITED) -> Picture:
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format=pix_fmt, dst_colorspace=matrix, dst_color_range=color_range
    )
    frame.colorspace, frame.color_range = matrix, color_range
    return picture_of(frame)


def formula(yuv: F64, matrix: int, full: bool) -> F64:
    """ITU-R BT.601, BT.709 and BT.2020, from (..., 3) levels to RGB of 0 to 255."""
    kr, kb = LUMA_SHARES[matrix]
    black, luma, chroma = (0, 255, 255) if full else (16, 219, 224)
    y, cb, cr = (yuv - [black, 128, 128]).T / np.array([luma, chroma, chroma])[:, None, None]
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.stack([red, green, blue]).T.clip(0, 1) * 255


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("matrix", sorted(LUMA_SHARES))
def test_every_triple_of_levels_is_the_colour_that_the_standard_says(
    matrix: int, full: bool
) -> None:
    yuv = np.random.default_rng(matrix).integers(0, 256, (64, 96, 3), np.uint8)
    yuv[0], yuv[1] = 0, 255
    planes = tuple(np.ascontiguousarray(yuv[..., n]) for n in range(3))
    image = YuvPicture(planes, Colour(matrix, full)).fit(64, 96)
    np.testing.assert_allclose(image, formula(yuv.astype(float), matrix, full), atol=1.0)


@pytest.mark.parametrize("color_range", [LIMITED, FULL_RANGE])
@pytest.mark.parametrize("matrix", [BT601, BT709, 9])
@pytest.mark.parametrize("pix_fmt", VIEWED)
def test_planes_made_small_are_the_picture_made_small(
    pix_fmt: str, matrix: int, color_range: int
) -> None:
    """swscale cuts products off where `fit` rounds: up to two levels darker."""
    picture = decoded(smooth(180, 256), pix_fmt, matrix, color_range)
    assert isinstance(picture, YuvPicture)
    small = picture.fit(74, 106)
    wanted = RgbPicture(picture.rgb()).fit(74, 106)
    assert small.shape == (74, 106, 3)
    difference = small.astype(int) - wanted
    assert np.abs(difference.mean(axis=(0, 1))).max() < 2.2
    assert np.percentile(np.abs(difference), 99) <= 6


@pytest.mark.parametrize("pix_fmt", CONVERTED)
def test_other_forms_are_converted_once(pix_fmt: str) -> None:
    picture, plain = decoded(smooth(60, 90), pix_fmt), decoded(smooth(60, 90), "yuv444p")
    assert isinstance(picture, RgbPicture)
    if "gray" not in pix_fmt:
        assert np.abs(picture.fit(30, 44).astype(int) - plain.fit(30, 44)).mean() < 4


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (353, 287), (1919, 1079)])
def test_odd_sizes_and_lines_that_lie_apart(size: tuple[int, int]) -> None:
    width, height = size
    picture = decoded(smooth(height, width), "yuv420p")
    assert (picture.height, picture.width) == (height, width)
    for rows, columns in ((height, width), (2, 3), (40, 64)):
        image = picture.fit(rows, columns)
        assert image.shape == (rows, columns, 3)
        wanted = RgbPicture(picture.rgb()).fit(rows, columns)
        if min(size) > 100:  # else the half pixel by which odd chroma is wider shows
            assert np.abs(image.astype(int) - wanted).mean() < 3


def test_a_decoder_that_crops_gives_what_is_within(make_clip: MakeClip) -> None:
    """353 x 287 is coded as 368 x 288."""
    path = make_clip("odd.mp4", 3, size=(354, 286))
    frame = next(iter(FileSource("a", path).frames()))
    with av.open(str(path)) as container:
        wanted = next(container.decode(video=0)).to_ndarray(format="rgb24")
    np.testing.assert_array_equal(frame.image, wanted)
    assert isinstance(frame.picture, YuvPicture)
    assert frame.picture.planes[0].shape == (286, 354)
    np.testing.assert_allclose(
        frame.picture.fit(286, 354).mean((0, 1)), wanted.mean((0, 1)), atol=2
    )


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "nv12", "gray"])
def test_a_turned_picture_is_upright_in_every_form(pix_fmt: str, turns: int) -> None:
    lying = decoded(smooth(60, 90), pix_fmt)
    assert isinstance(lying, YuvPicture)
    upright = YuvPicture(lying.planes, lying.colour, turns)
    height, width = (90, 60) if turns % 2 else (60, 90)
    assert (upright.height, upright.width) == (height, width)
    np.testing.assert_array_equal(upright.rgb(), np.rot90(lying.rgb(), turns))
    size = (30, 20) if turns % 2 else (20, 30)
    out = np.zeros((*size, 3), np.uint8)
    assert upright.fit(*size, out) is out
    np.testing.assert_array_equal(out, np.rot90(lying.fit(20, 30), turns))
    np.testing.assert_array_equal(upright.luma(*size), np.rot90(lying.luma(20, 30), turns))
    np.testing.assert_array_equal(upright.luma_grid(7), np.rot90(lying.luma_grid(7), turns))


@pytest.mark.parametrize("color_range", [LIMITED, FULL_RANGE])
def test_luma_is_grey_from_black_to_white(color_range: int) -> None:
    image = smooth(180, 320)
    image[:60], image[60:120] = 0, 255
    luma = decoded(image, "yuv420p", color_range=color_range).luma(18, 32)
    plain = RgbPicture(image).luma(18, 32)
    assert (luma[:5].max(), luma[7:11].min()) == (0, 255)
    assert np.abs(luma.astype(int) - plain).mean() < 2


@pytest.mark.parametrize("kind", ["planes", "rgb"])
def test_out_is_written_to_and_nothing_around_it(kind: str) -> None:
    image = smooth(90, 160)
    picture: Picture = decoded(image, "yuv420p") if kind == "planes" else RgbPicture(image)
    canvas = np.full((64, 80, 3), 7, np.uint8)
    inside = canvas[10:46, 8:72]
    assert picture.fit(36, 64, inside) is inside
    np.testing.assert_array_equal(inside, picture.fit(36, 64))
    inside[:] = 7
    assert (canvas == 7).all()


def test_planes_without_their_frame_have_the_same_rgb() -> None:
    for pix_fmt in VIEWED:
        picture = decoded(smooth(51, 83), pix_fmt, BT709, FULL_RANGE)
        assert isinstance(picture, YuvPicture)
        copies = tuple(plane.copy() for plane in picture.planes)
        np.testing.assert_array_equal(YuvPicture(copies, picture.colour).rgb(), picture.rgb())


@pytest.mark.parametrize("matrix", [0, 3, 8, 14])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_a_matrix_that_is_not_known_counts_as_not_named(matrix: int, pix_fmt: str) -> None:
    frame = av.VideoFrame.from_ndarray(smooth(48, 64), format="rgb24").reformat(format=pix_fmt)
    frame.colorspace = UNSPECIFIED
    wanted = to_rgb(frame)
    frame.colorspace = matrix
    np.testing.assert_array_equal(picture_of(frame).rgb(), wanted)


def held(path: Path, most: int) -> tuple[set[int], int]:
    """Addresses of the buffers of a whole video of which `most` pictures at once are kept, and how
    many pictures it has. Raises AssertionError when a kept picture changes."""
    addresses, kept, total = set(), [], 0
    for frame in FileSource("a", path, Reading(fps=None)).frames():
        picture = frame.picture
        assert isinstance(picture, YuvPicture)
        total += 1
        addresses.add(picture.planes[0].ctypes.data)
        kept.append((picture, [plane.copy() for plane in picture.planes]))
        for one, pixels in kept:
            assert all(map(np.array_equal, one.planes, pixels))
        del kept[: len(kept) - most], picture, frame
    return addresses, total


@pytest.mark.parametrize("most", [1, 6])
def test_no_picture_that_waits_is_written_to_and_buffers_come_from_a_pool(
    most: int, make_clip: MakeClip
) -> None:
    path = make_clip("a.mp4", 120, size=(320, 240))
    addresses, total = held(path, most)
    assert total == 120
    assert most <= len(addresses) <= most + 24  # what the decoder itself refers to or prepares


def test_pixels_outlive_the_decoder_and_the_picture(make_clip: MakeClip) -> None:
    frames = list(FileSource("a", make_clip("a.mp4", 12)).frames())
    views = [frame.picture.planes[0] for frame in frames if isinstance(frame.picture, YuvPicture)]
    before = [view.copy() for view in views]
    del frames
    list(FileSource("b", make_clip("b.mp4", 30)).frames())
    assert len(views) == 12
    assert all(map(np.array_equal, views, before))
