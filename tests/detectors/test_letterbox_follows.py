"""Inputs with the shape of the picture: as large in them as can be, for no more pixels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.letterbox import (
    COCO,
    MOST_PIXELS,
    MOST_STRETCH,
    STEP_PX,
    Letterbox,
)

SQUARE = Letterbox(416, 416, follows=True)
SIDES = st.integers(1, 5000)
BOXES = st.builds(
    Letterbox,
    height=st.integers(2, 20).map(lambda steps: steps * STEP_PX),
    width=st.integers(2, 20).map(lambda steps: steps * STEP_PX),
    placement=st.sampled_from(["centre", "bottom_right"]),
    follows=st.just(True),
)


@pytest.mark.parametrize(
    ("picture", "wanted"),
    [
        ((1080, 1920), (320, 544)),
        ((480, 640), (352, 480)),
        ((288, 352), (288, 352)),
        ((144, 176), (288, 352)),
        ((360, 480), (352, 480)),
        ((1920, 1080), (544, 320)),
        ((500, 500), (416, 416)),
    ],
)
def test_usual_cameras(picture: tuple[int, int], wanted: tuple[int, int]) -> None:
    box = SQUARE.of(*picture)
    assert (box.height, box.width) == wanted


@given(BOXES, SIDES, SIDES)
def test_hardly_more_pixels_and_no_smaller_picture(box: Letterbox, height: int, width: int) -> None:
    own = box.of(height, width)
    fixed = box.sized(box.height, box.width)
    assert own.height * own.width <= MOST_PIXELS * box.height * box.width
    assert (own.height % STEP_PX, own.width % STEP_PX) == (0, 0)
    assert own.height <= MOST_STRETCH * box.height
    assert own.width <= MOST_STRETCH * box.width
    least = min(fixed.transform(height, width).scale_y, 1.0)
    half_a_pixel = 0.5 / min(height, width)  # to which sides are rounded
    assert own.transform(height, width).scale_y >= least - half_a_pixel - 1e-9
    assert own.of(height, width) is own


@given(BOXES, SIDES, SIDES)
def test_no_whole_step_is_padding_alone(box: Letterbox, height: int, width: int) -> None:
    own = box.of(height, width)
    _, (tall, wide) = own.place(height, width)
    assert own.height - tall < STEP_PX or own.width - wide < STEP_PX


@given(BOXES, SIDES, SIDES)
def test_places_are_those_of_the_followed_input(box: Letterbox, height: int, width: int) -> None:
    assert box.place(height, width) == box.of(height, width).place(height, width)


def test_margins_are_kept() -> None:
    box = Letterbox(COCO.height, COCO.width, fit=COCO.fit, follows=True).of(1080, 1920)
    assert (box.height, box.width, box.fit) == (480, 864, (476, 860))


def test_without_it_every_picture_has_the_same_input() -> None:
    assert COCO.of(1080, 1920) is COCO
    stretched = Letterbox(416, 416, keep_aspect=False, follows=True)
    assert stretched.of(1080, 1920) is stretched
