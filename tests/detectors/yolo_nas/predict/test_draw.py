"""Boxes and labels on pictures: where labels go, and which are left out."""

from __future__ import annotations

import numpy as np

from detectors.yolo_nas.predict.draw import color_of, draw_boxes
from pipeline.core.arrays import F32, U8

BLACK: U8 = np.zeros((240, 320, 3), np.uint8)


def painted(xyxy: list[list[int]]) -> list[int]:
    """Pixels of the colour of each box's class, lines and plates."""
    boxes: F32 = np.array(xyxy, np.float32).reshape(-1, 4)
    labels = np.arange(len(boxes))
    drawn = draw_boxes(BLACK, boxes, labels, ["lamp 0.50"] * len(boxes))
    return [int((drawn == color_of(int(n))).all(axis=-1).sum()) for n in labels]


def test_labels_of_boxes_in_one_place_do_not_cover_each_other() -> None:
    """On top of the box, inside it, below it; there is no room for a fourth."""
    box = [40, 60, 200, 120]
    plate_and_lines = painted([box])[0]
    *seen, fourth = painted([box] * 4)
    assert min(seen) > plate_and_lines * 0.8
    assert fourth == 0


def test_a_label_at_the_edge_is_inside_the_picture() -> None:
    at_edge, free = (painted([box])[0] for box in ([0, 0, 300, 200], [10, 30, 310, 230]))
    assert at_edge > free * 0.8


def test_labels_are_small_on_small_pictures() -> None:
    boxes: F32 = np.array([[0, 60, 160, 119]], np.float32)
    image: U8 = np.zeros((120, 160, 3), np.uint8)
    drawn = draw_boxes(image, boxes, np.zeros(1, np.int64), ["person 0.99"])
    above = drawn[:59].max(axis=-1) > 0
    rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
    assert len(rows) <= 15
    assert len(columns) <= 70


def test_a_picture_too_small_for_any_label_gets_its_box() -> None:
    boxes: F32 = np.array([[1, 1, 5, 5]], np.float32)
    drawn = draw_boxes(np.zeros((6, 6, 3), np.uint8), boxes, np.zeros(1, np.int64), ["lamp"])
    assert drawn[1, 1:6].any()
    assert not drawn[3, 3].any()
