"""Colours and shapes of decoded pictures."""

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from pipeline.core.arrays import U8
from stages.base import Counts, Decode
from stages.sources.decode import Decoding, PictureTooLarge
from stages.sources.file import FileSource
from stages.sources.planes import to_rgb
from stages.sources.reading import Reading
from tests.stages.sources.clips import MakeClip, scene

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


def decoding(path: Path, **options: Any) -> Iterator[Decoding]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        yield Decoding(container, stream, Counts(), threading.Event(), **options)


@pytest.mark.parametrize("max_pixels", [64 * 48, None])
def test_pictures_of_the_largest_size_pass(max_pixels: int | None, make_clip: MakeClip) -> None:
    for passes in decoding(make_clip("a.mp4", 3), max_pixels=max_pixels):
        assert len(list(passes.pictures())) == 3
        assert passes.frames_total == passes._counts.packets_total == 3


def test_larger_pictures_are_refused_by_the_decoder_itself(make_clip: MakeClip) -> None:
    for passes in decoding(make_clip("a.mp4", 3), max_pixels=64 * 48 - 1):
        assert list(passes.pictures()) == []
        assert passes._counts.corrupt_total == 3
        assert passes.frames_total == 0


def test_a_decoder_that_does_not_count_pixels_is_checked(make_clip: MakeClip) -> None:
    for passes in decoding(make_clip("a.mp4", 3), max_pixels=64 * 48):
        passes._max_pixels = 64 * 48 - 1
        with pytest.raises(PictureTooLarge, match="64x48"):
            list(passes.pictures())


def test_the_wait_for_a_packet_is_without_the_time_of_the_reader(make_clip: MakeClip) -> None:
    waits: list[float] = []
    options = {"on_packet": lambda _, waited_s: waits.append(waited_s)}
    for passes in decoding(make_clip("a.mp4", 5), **options):
        began_s = time.monotonic()
        for _ in passes.pictures():
            while time.monotonic() < began_s + 0.05 * len(waits):
                pass
    assert len(waits) == 5
    assert sum(waits) < 0.2


def referred_to(clip: Path) -> int:
    """Pictures whose slices say so: `nal_ref_idc` is not 0 (H.264, 7.4.1), one slice a picture."""
    total = 0
    with av.open(str(clip)) as container:
        for packet in container.demux(video=0):
            data = bytes(packet)
            while data:
                size = int.from_bytes(data[:4], "big")
                total += data[4] & 31 in (1, 5) and data[4] >> 5 & 3 > 0
                data = data[4 + size :]
    return total


@pytest.mark.parametrize("decode", ["keyframes", "no_nonref", "all"])
def test_pictures_that_are_passed_over_are_counted_and_are_not_decoded(
    make_clip: MakeClip, decode: Decode
) -> None:
    clip = make_clip("a.mp4", 30)  # a key frame in 10
    kept = {"keyframes": 3, "no_nonref": referred_to(clip), "all": 30}[decode]
    assert 10 < referred_to(clip) < 25
    source = FileSource("a", clip, Reading(decode=decode))
    frames = list(source.frames())
    counts = source.counts
    assert [frame.info.seq for frame in frames] == list(range(len(frames)))
    assert counts.decoded_total == len(frames) == kept
    assert counts.undecoded_total == 30 - kept
    assert counts.key_frames_total == 3
    if decode == "keyframes":
        assert [frame.info.pts_ns // 10**6 for frame in frames] == [0, 400, 800]


def transport(path: Path, first_pts: int, gone: int | None = None) -> bytes:
    """30 pictures, a key frame in 10, without packet `gone`."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "10", "bf": "0"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sent = 0
        for index in [*range(30), None]:
            frame = None
            if index is not None:
                frame = av.VideoFrame.from_ndarray(scene(index, 64, 48), format="rgb24")
                frame.pts, frame.time_base = index + first_pts, Fraction(1, 25)
            for packet in stream.encode(frame):
                if sent != gone:
                    container.mux(packet)
                sent += 1
    return path.read_bytes()


@pytest.mark.parametrize("gone", [None, 25])
def test_a_time_that_jumps_back_behind_a_loss_withholds_no_more(
    tmp_path: Path, gone: int | None
) -> None:
    clip = tmp_path / "both.ts"
    clip.write_bytes(transport(tmp_path / "a.ts", 1250, gone) + transport(tmp_path / "b.ts", 0))
    lost = 0 if gone is None else 4  # 26 to 29, which refer to 25
    for passes in decoding(clip, lossy=True):
        assert len(list(passes.pictures())) == 60 - lost - (gone is not None)
        assert passes._counts.withheld_total == lost
