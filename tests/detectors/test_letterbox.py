"""Images to network inputs, and boxes back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.letterbox import Letterbox, Placement, Transform
from pipeline.core.arrays import F32, U8

SIDES = st.integers(1, 900)
INPUTS = st.integers(1, 20).map(lambda n: 32 * n)
PLACEMENTS = st.sampled_from(["centre", "bottom_right"])


def to_network(moved: Transform, xyxy: F32) -> F32:
    scale, offset = [moved.scale_x, moved.scale_y] * 2, [moved.left, moved.top] * 2
    return xyxy * np.array(scale, np.float32) + np.array(offset, np.float32)


@given(SIDES, SIDES, INPUTS, INPUTS, PLACEMENTS)
def test_boxes_come_back_to_where_they_were(
    height: int, width: int, rows: int, columns: int, placement: Placement
) -> None:
    transform = Letterbox(rows, columns, placement).transform(height, width)
    boxes = np.array([[0, 0, width, height], [0.25, 0.5, width / 2, height / 3]], np.float32)
    back = transform.to_source(to_network(transform, boxes))
    np.testing.assert_allclose(back, boxes, rtol=1e-4, atol=1e-2 / transform.scale_x)


@given(SIDES, SIDES, INPUTS, INPUTS, PLACEMENTS)
def test_the_whole_image_lies_in_the_input_and_touches_two_sides(
    height: int, width: int, rows: int, columns: int, placement: Placement
) -> None:
    transform = Letterbox(rows, columns, placement).transform(height, width)
    image = np.array([[0, 0, width, height]], np.float32)
    x1, y1, x2, y2 = to_network(transform, image)[0]
    assert min(x1, y1) >= 0
    assert x2 <= columns + 1
    assert y2 <= rows + 1
    assert x2 - x1 == pytest.approx(columns, abs=1.5) or y2 - y1 == pytest.approx(rows, abs=1.5)


@pytest.mark.parametrize(("placement", "top"), [("centre", 16), ("bottom_right", 0)])
def test_padding_surrounds_the_pixels(placement: Placement, top: int) -> None:
    image: U8 = np.full((32, 64, 3), [10, 20, 30], np.uint8)
    tensor, transform = Letterbox(64, 64, placement).apply(image)
    assert (transform.top, transform.left, transform.scale_x) == (top, 0, 1.0)
    assert tensor.shape == (3, 64, 64)
    for channel, value in zip(tensor, (10, 20, 30), strict=True):
        np.testing.assert_allclose(channel[top : top + 32], value / 255, rtol=1e-6)
        rest = np.delete(channel, np.s_[top : top + 32], axis=0)
        np.testing.assert_allclose(rest, 114 / 255, rtol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(100, 320), (320, 0), (-32, 64)])
def test_sides_must_be_multiples_of_32(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"multiples of 32 pixels, got {height}x{width}"):
        Letterbox(height, width)
