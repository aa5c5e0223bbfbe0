"""What crosses to the main process is what would have been there."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from av.video.frame import VideoFrame

from detectors.letterbox import Letterbox
from pipeline.core.arrays import U8
from pipeline.core.picture import Picture, RgbPicture
from pipeline.workers.layout import Wanted, layout_for
from stages import picture_change
from stages.health import sample
from stages.sources.colour import Colour
from stages.sources.planes import YuvPicture

BOX = Letterbox(128, 160)
SIZES = ((90, 160), (240, 320), (63, 47))
ALL = Wanted(BOX, health=True, motion=True)


def yuv(height: int, width: int, turns: int = 0) -> YuvPicture:
    rng = np.random.default_rng(height * width)
    chroma = (2, (height + 1) // 2, (width + 1) // 2)
    luma = rng.integers(16, 236, (height, width), np.uint8)
    cb, cr = rng.integers(16, 241, chroma, np.uint8)
    return YuvPicture((luma, cb, cr), Colour(), turns)


def rgb(height: int, width: int) -> RgbPicture:
    return RgbPicture(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def crossed(picture: Picture, wanted: Wanted) -> Picture:
    layout = layout_for(picture, wanted)
    assert layout.suits(picture)
    slot: U8 = np.empty(layout.slot_bytes, np.uint8)
    layout.write(picture, slot)
    slot.flags.writeable = False
    return layout.read(slot)


MAKERS: dict[str, Callable[[int, int], Picture]] = {"yuv": yuv, "rgb": rgb}
PICTURES = [
    pytest.param(MAKERS[name](*size), id=f"{name}-{size[0]}x{size[1]}")
    for name, size in product(MAKERS, SIZES)
] + [pytest.param(yuv(90, 160, turns), id=f"turned-{turns}") for turns in (1, 2, 3)]


@pytest.mark.parametrize("picture", PICTURES)
def test_what_is_asked_of_a_picture_is_the_same_there(picture: Picture) -> None:
    there, (height, width) = crossed(picture, ALL), (picture.height, picture.width)
    assert (there.height, there.width) == (height, width)
    size = BOX.place(height, width)[1]
    into = np.zeros((*size, 3), np.uint8)
    there.fit(*size, out=into)
    for got, made in (
        (there.fit(*size), picture.fit(*size)),
        (into, picture.fit(*size)),
        (there.luma(*sample.luma_size(height, width)),
         picture.luma(*sample.luma_size(height, width))),
        (there.luma(*picture_change.luma_size(height, width)),
         picture.luma(*picture_change.luma_size(height, width))),
        (there.luma_grid(sample.grid_apart_px(height)),
         picture.luma_grid(sample.grid_apart_px(height))),
    ):  # fmt: skip
        np.testing.assert_array_equal(got, made)


@pytest.mark.parametrize("picture", PICTURES)
def test_a_whole_picture_is_there_whole(picture: Picture) -> None:
    there = crossed(picture, Wanted(None))
    np.testing.assert_array_equal(there.rgb(), picture.rgb())
    np.testing.assert_array_equal(there.fit(50, 70), picture.fit(50, 70))
    np.testing.assert_array_equal(there.luma(20, 30), picture.luma(20, 30))


def test_a_decoders_own_planes_cross_whatever_their_padding() -> None:
    frame = VideoFrame(50, 34, "yuv420p")
    for plane, value in zip(frame.planes, (90, 60, 200), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    padded = [
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        for plane in frame.planes
    ]
    planes = zip(padded, frame.planes, strict=True)
    picture = YuvPicture(tuple(array[:, : plane.width] for array, plane in planes), Colour())
    np.testing.assert_array_equal(crossed(picture, Wanted(None)).rgb(), picture.rgb())


@pytest.mark.parametrize("wanted", [ALL, Wanted(None)], ids=["fitted", "whole"])
@pytest.mark.parametrize("picture", PICTURES)
def test_what_is_kept_of_a_picture_does_not_keep_its_slot(picture: Picture, wanted: Wanted) -> None:
    """The slot is written to again while health remembers what it saw."""
    layout = layout_for(picture, wanted)
    slot: U8 = np.zeros(layout.slot_bytes, np.uint8)
    layout.write(picture, slot)
    there, size = layout.read(slot), BOX.place(picture.height, picture.width)[1]
    same = (there.height, there.width)
    kept = [there.fit(*size), there.fit(*same), there.luma(20, 30)]
    kept += [there.luma(*sample.luma_size(*same)), there.luma(*picture_change.luma_size(*same))]
    kept.append(there.luma_grid(sample.grid_apart_px(there.height)))
    if wanted.letterbox is None:
        kept.append(there.rgb())
    assert not any(np.shares_memory(array, slot) for array in kept)


def test_only_the_networks_size_has_left() -> None:
    there = crossed(yuv(90, 160), Wanted(BOX))
    with pytest.raises(RuntimeError, match="only the network's size"):
        there.rgb()
    assert there.luma(12, 20).shape == (12, 20)  # nobody said so, but it can be made


def test_other_sizes_and_forms_need_other_memory() -> None:
    for wanted in (ALL, Wanted(None)):
        layout = layout_for(yuv(90, 160), wanted)
        assert layout.suits(yuv(90, 160))
        assert not layout.suits(yuv(160, 90))
    assert not layout_for(yuv(90, 160), Wanted(None)).suits(rgb(90, 160))
    assert not layout_for(yuv(90, 160), Wanted(None)).suits(yuv(90, 160, turns=2))
