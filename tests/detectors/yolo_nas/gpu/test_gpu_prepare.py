"""Preparation with torch against the CPU's: OpenCV for the letterbox, libswscale for the colours.
It runs here on tensors of the CPU; on a GPU the same operators compute it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.letterbox import COCO, Letterbox, Placement
from detectors.yolo_nas.gpu.colour import Colour, Nv12
from detectors.yolo_nas.gpu.prepare import GpuPreparation
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import U8
from stages.sources.planes import to_rgb

CPU = torch.device("cpu")
PLAIN = Processing(("cone",), Letterbox(64, 96))
BT709, BT601, BT2020, UNNAMED = 1, 5, 9, 2
LIMITED, FULL = 1, 2
Kind = Literal["noise", "smooth"]


def picture(height: int, width: int, seed: int, kind: Kind = "noise") -> U8:
    """Noise, where each pixel matters, or something like a photograph."""
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    coarse = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    smooth: U8 = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return smooth


def gap_in_levels(processing: Processing, images: list[U8]) -> float:
    """The largest difference from the CPU's preparation, in grey levels."""
    preparation = GpuPreparation(processing, CPU)
    wanted, transforms = processing.prepare_batch(images)
    out = torch.full(wanted.shape, torch.nan)
    found = preparation.fill([preparation.upload(image) for image in images], out)
    assert found == transforms
    std = np.array(processing.std, np.float32)[None, :, None, None]
    return float(np.abs((out.numpy() - wanted) * std).max())


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=3),
    placement=st.sampled_from(["centre", "bottom_right"]),
    keep_aspect=st.booleans(),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["noise", "smooth"]),
)
def test_any_picture_is_within_one_grey_level(
    sizes: list[tuple[int, int]], placement: Placement, keep_aspect: bool, seed: int, kind: Kind
) -> None:
    box = Letterbox(64, 96, placement, fit=(60, 90), keep_aspect=keep_aspect)
    images = [picture(*size, seed + n, kind) for n, size in enumerate(sizes)]
    assert gap_in_levels(replace(PLAIN, letterbox=box), images) <= 1.001


@pytest.mark.parametrize(
    "size", [(64, 96), (128, 192), (32, 48), (1, 1), (1080, 1920), (63, 97), (720, 1280)]
)
def test_sizes_with_ways_of_their_own_in_opencv(size: tuple[int, int]) -> None:
    assert gap_in_levels(PLAIN, [picture(*size, 1)]) <= 1.001


def test_published_preparation() -> None:
    processing = replace(
        PLAIN, letterbox=COCO, color="bgr", mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4)
    )
    assert gap_in_levels(processing, [picture(480, 640, 2), picture(333, 500, 3)]) <= 1.001


def test_pictures_that_cannot_be_written_are_left_as_they_are() -> None:
    image = picture(70, 80, 5)
    image.setflags(write=False)
    assert gap_in_levels(PLAIN, [image]) <= 1.001


def test_taps_are_kept_for_sizes_seen_but_not_for_ever() -> None:
    preparation = GpuPreparation(PLAIN, CPU)
    out = torch.empty(1, 3, 64, 96)
    for side in range(1, 60):
        preparation.fill([torch.zeros(side, side, 3, dtype=torch.uint8)], out)
    assert 0 < len(preparation._taps) <= 64


def decoded(height: int, width: int, colorspace: int, color_range: int) -> tuple[U8, Nv12]:
    """A frame of noise as the CPU's decoder gives it in RGB, and as a GPU's gives it in NV12."""
    rng = np.random.default_rng(height + colorspace)
    luma = rng.integers(0, 256, (height, width), dtype=np.uint8)
    chroma = rng.integers(0, 256, (height // 2, width // 2, 2), dtype=np.uint8)
    frame = VideoFrame(width, height, "yuv420p")
    for plane, values in zip(frame.planes, (luma, chroma[..., 0], chroma[..., 1]), strict=True):
        memory = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        memory[: values.shape[0], : values.shape[1]] = values
    frame.colorspace, frame.color_range = colorspace, color_range
    colour = Colour.of(height, colorspace, color_range)
    return to_rgb(frame), Nv12(torch.from_numpy(luma), torch.from_numpy(chroma), colour)


@pytest.mark.parametrize("size", [(64, 64), (480, 640), (720, 1280), (50, 70), (1080, 1920)])
@pytest.mark.parametrize("colorspace", [BT709, BT601, BT2020, UNNAMED])
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
def test_nv12_is_the_rgb_of_the_cpus_decoder(
    size: tuple[int, int], colorspace: int, color_range: int
) -> None:
    """Equal on x86; other processors have other integers in libswscale, a level or two apart."""
    rgb, frame = decoded(*size, colorspace, color_range)
    rows, columns = torch.arange(size[0]), torch.arange(size[1])
    gap = np.abs(frame.rgb_at(rows, columns).numpy().astype(int) - rgb)
    assert gap.max() <= 2
    assert gap.mean() < 0.5


@pytest.mark.parametrize("size", [(64, 64), (720, 1280), (50, 70)])
def test_nv12_is_prepared_as_its_rgb(size: tuple[int, int]) -> None:
    _, frame = decoded(*size, UNNAMED, LIMITED)
    rgb = frame.rgb_at(torch.arange(size[0]), torch.arange(size[1]))
    preparation = GpuPreparation(PLAIN, CPU)
    from_rgb, from_nv12 = torch.empty(1, 3, 64, 96), torch.empty(1, 3, 64, 96)
    assert preparation.fill([frame], from_nv12) == preparation.fill([rgb], from_rgb)
    torch.testing.assert_close(from_nv12, from_rgb, atol=0, rtol=0)


def test_unnamed_matrix_goes_by_height() -> None:
    assert Colour.of(719, UNNAMED, LIMITED) == Colour("bt601", full_range=False)
    assert Colour.of(720, UNNAMED, FULL) == Colour("bt709", full_range=True)
    assert Colour.of(1080, BT601, LIMITED).matrix == "bt601"


@pytest.mark.parametrize(
    ("luma", "chroma"), [((5, 4), (2, 2, 2)), ((4, 6), (2, 2, 2)), ((4, 5), (2, 2, 2))]
)
def test_planes_that_do_not_belong_together(luma: tuple[int, ...], chroma: tuple[int, ...]) -> None:
    planes = [torch.zeros(shape, dtype=torch.uint8) for shape in (luma, chroma)]
    with pytest.raises(ValueError, match="NV12 is uint8"):
        Nv12(planes[0], planes[1], Colour())
    with pytest.raises(ValueError, match=r"torch\.int32"):
        Nv12(torch.zeros(4, 4, dtype=torch.int32), torch.zeros(2, 2, 2), Colour())
